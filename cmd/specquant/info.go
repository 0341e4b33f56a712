package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/measure"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/recipe"
)

type infoCmd struct {
	Measure bool `help:"Measure this machine's memory and cores, and what share of that each kernel reaches; takes some seconds. If the kernels below the best ones of this CPU are faster, remember to use those."`
	Threads int  `help:"With --measure: threads. 0: one for each CPU." default:"0"`
	JSON    bool `name:"json" help:"Write JSON."`
}

// machine is what info says of the program and of the machine it runs on.
type machine struct {
	Version  string   `json:"version"`
	Go       string   `json:"go"`
	OS       string   `json:"os"`
	Arch     string   `json:"arch"`
	CPU      string   `json:"cpu,omitempty"` // "": the system does not say
	Threads  int      `json:"threads"`
	Features []string `json:"features"`
	L1       int      `json:"l1_bytes,omitempty"` // of one core; 0: not known
	L2       int      `json:"l2_bytes,omitempty"`
	L3       int      `json:"l3_bytes,omitempty"`
	Kernels  string   `json:"kernels"`      // instruction set in use
	BestHere string   `json:"kernels_best"` // the best one that this CPU has
	Recipes  []string `json:"recipes"`

	Measured *measure.Result `json:"measured,omitempty"`
	Chosen   string          `json:"kernels_chosen,omitempty"` // by the measurement: not the best one
}

func thisMachine() machine {
	m := machine{Version: specquant.Version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuid.CPU.BrandName, Threads: runtime.GOMAXPROCS(0),
		Features: []string{}, Kernels: fmt.Sprint(cpu.Active()), BestHere: fmt.Sprint(cpu.Best()), Recipes: recipe.Names()}
	for _, f := range []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VNNI, cpuid.AVXVNNI, cpuid.AVX512BF16, cpuid.AMXINT8, cpuid.ASIMD, cpuid.ASIMDDP} {
		if cpuid.CPU.Supports(f) {
			m.Features = append(m.Features, f.String())
		}
	}
	if c := cpuid.CPU.Cache; c.L2 > 0 {
		m.L1, m.L2, m.L3 = max(c.L1D, 0), c.L2, max(c.L3, 0)
	}
	return m
}

func (c infoCmd) Run(e *env) error {
	m := thisMachine()
	if c.Measure {
		if err := c.measure(e, &m); err != nil {
			return err
		}
	} else if c.Threads != 0 {
		return errors.New("--threads goes with --measure")
	}
	if c.JSON {
		return e.writeJSON(m)
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(e.out, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("version", "specquant %s, %s %s/%s", m.Version, m.Go, m.OS, m.Arch)
	line("cpu", "%s, %s available", cpuName(), plural.Of(m.Threads, "thread"))
	line("features", "%s", strings.Join(m.Features, " "))
	if m.L2 > 0 {
		line("caches", "L1 %s, L2 %s, L3 %s", bytesText(int64(m.L1)), bytesText(int64(m.L2)), bytesText(int64(m.L3)))
	}
	active := m.Kernels
	if os.Getenv(cpu.EnvTier) != "" && cpu.Active() < cpu.Best() {
		active += fmt.Sprintf(" (lowered by %s; this CPU has %s)", cpu.EnvTier, m.BestHere)
	} else if choice, ok := measure.Remembered(cpuName()); ok && choice.Tier == m.Kernels {
		active += fmt.Sprintf(" (chosen by info --measure: %.0f %% of the time of %s)", 100*choice.Less, choice.Best)
	}
	line("kernels", "%s", active)
	line("recipes", "%s", strings.Join(m.Recipes, ", "))
	if m.Measured != nil {
		printMeasured(e, m)
	}
	return nil
}
