package main

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/recipe"
)

type infoCmd struct{}

func (infoCmd) Run(e *env) error {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(e.out, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("version", "specquant %s, %s %s/%s", specquant.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	brand := cpuid.CPU.BrandName
	if brand == "" {
		brand = "unknown"
	}
	line("cpu", "%s, %d threads available", brand, runtime.GOMAXPROCS(0))
	var have []string
	for _, f := range []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VNNI, cpuid.AVXVNNI, cpuid.AVX512BF16, cpuid.ASIMD, cpuid.ASIMDDP} {
		if cpuid.CPU.Supports(f) {
			have = append(have, f.String())
		}
	}
	line("features", "%s", strings.Join(have, " "))
	if c := cpuid.CPU.Cache; c.L2 > 0 {
		line("caches", "L1 %s, L2 %s, L3 %s", bytesText(int64(c.L1D)), bytesText(int64(c.L2)), bytesText(int64(c.L3)))
	}
	active := fmt.Sprint(kernel.Active())
	if kernel.Active() < kernel.Best() {
		active += fmt.Sprintf(" (lowered by %s; this CPU has %s)", kernel.EnvTier, kernel.Best())
	}
	line("kernels", "%s", active)
	line("recipes", "%s", strings.Join(recipe.Names(), ", "))
	return nil
}
