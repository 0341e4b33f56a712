package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/layerbench"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

type layerCmd struct {
	Shape    layerShape `help:"Outputs and inputs of the layer." default:"1024x1024" placeholder:"OUTxIN"`
	Recipes  []string   `help:"Embedded recipes or .yaml files." default:"rtn,smoothquant,gptq,awq,quarot,svdquant,resq,specquant,specquant-fast"`
	Bits     []string   `help:"Bits of weights-activations-KV; a single layer has no cache, so KV has no effect." default:"4-4-16" placeholder:"W-A-KV"`
	Tokens   int        `help:"Calibration tokens." default:"8192"`
	HeldOut  int        `help:"Tokens that the error is measured on." default:"1024"`
	Seed     uint64     `help:"Of the weights and tokens." default:"0"`
	Threads  int        `help:"Threads; errors and bits do not depend on them. 0: one for each CPU." default:"0"`
	Stages   bool       `help:"Also show where the time goes: stages that take at least 2 % of it, and how fast their matrix products are."`
	Markdown bool       `help:"Write Markdown tables."`
	JSON     bool       `name:"json" help:"One JSON object for each recipe and setting."`
}

// layerShape is OUTxIN on the command line.
type layerShape struct{ out, in int }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *layerShape) UnmarshalText(text []byte) error {
	a, b, ok := strings.Cut(strings.ToLower(string(text)), "x")
	var err, err2 error
	s.out, err = strconv.Atoi(a)
	s.in, err2 = strconv.Atoi(b)
	if !ok || err != nil || err2 != nil {
		return fmt.Errorf("%q is not a shape; write outputs and inputs as 4096x14336", text)
	}
	return nil
}

func (c *layerCmd) Run(e *env) error {
	var bits []quant.Bits
	for _, text := range c.Bits {
		b, err := quant.ParseBits(text)
		if err != nil {
			return err
		}
		bits = append(bits, b)
	}
	var recipes []*recipe.Recipe
	for _, name := range c.Recipes {
		r, err := recipe.Load(name)
		if err != nil {
			return err
		}
		recipes = append(recipes, r)
	}
	pool := parallel.NewPool(c.Threads)
	defer pool.Close()
	s, err := layerbench.NewSynthetic(pool, layerbench.SyntheticOptions{Out: c.Shape.out, In: c.Shape.in, Tokens: c.Tokens, HeldOut: c.HeldOut, Seed: c.Seed, Speed: c.Stages || c.JSON})
	if err != nil {
		return err
	}
	var all []*layerbench.LoneLayer
	var failed []error
	for _, b := range bits {
		for _, r := range recipes {
			if e.isTerm {
				fmt.Fprintf(e.err, "\r\x1b[K%s at %s", r.Name, b)
			}
			var l *layerbench.LoneLayer
			own := *r // the bits of one row, which may take multiples away, are not the next one's
			err := own.SetBits(b)
			if err == nil {
				l, err = s.Quantize(e.ctx, pool, &own)
			}
			if e.ctx.Err() != nil {
				return e.ctx.Err()
			}
			if err != nil {
				failed = append(failed, e.rowFailed(fmt.Sprintf("%s at %s", r.Name, b), err))
				continue
			}
			all = append(all, l)
			if c.JSON {
				if err := json.NewEncoder(e.out).Encode(syntheticLine{true, c.Seed, l}); err != nil {
					return err
				}
			}
		}
	}
	if e.isTerm {
		fmt.Fprint(e.err, "\r\x1b[K")
	}
	if !c.JSON && len(all) > 0 {
		c.print(e, s, pool.Threads(), all)
	}
	return errors.Join(failed...)
}

// syntheticLine is one line of JSON. Its first field marks it as synthetic, so that it is not
// mistaken for a model's result.
type syntheticLine struct {
	Synthetic bool   `json:"synthetic"`
	Seed      uint64 `json:"seed"`
	*layerbench.LoneLayer
}

func (c *layerCmd) print(e *env, s *layerbench.Synthetic, threads int, all []*layerbench.LoneLayer) {
	fmt.Fprintf(e.out, "synthetic layer, %s × %s, seed %d: Gaussian weights, %s 3 to 8 times larger; inputs with a covariance\n"+
		"whose eigenvalues fall as 1/i in a random basis, %s of 20 to 100, one token in 512 massive (1000 in two channels)\n"+
		"calibrated on %s, measured on %s; %s, %s, kernels %s\n",
		plural.Of(s.Out, "output"), plural.Of(s.In, "input"), s.Seed, plural.Of(len(s.Heavy), "column"), plural.Of(len(s.Outliers), "outlier channel"), plural.Of(s.Tokens, "token"), plural.Of(s.HeldOut, "other"), runtime.GOARCH, plural.Of(threads, "thread"), cpu.Active())
	left := map[string]bool{}
	for _, l := range all {
		if len(l.LeftOut) > 0 && !left[l.Recipe] {
			fmt.Fprintf(e.out, "%s without %s: there is no model around the layer\n", l.Recipe, strings.Join(l.LeftOut, ", "))
			left[l.Recipe] = true
		}
	}
	fmt.Fprintln(e.out)
	t := newTable()
	t.AppendHeader(table.Row{"recipe, synthetic", "bits", "output error", "bits/weight", "components", "smoothing", "seconds", "CPU s", "s per M weights", "peak memory", "B per weight"})
	for _, l := range all {
		t.AppendRow(table.Row{l.Recipe, l.Bits, fmt.Sprintf("%.4f", l.Error), fmt.Sprintf("%.3f", l.BitsPerWeight), fmt.Sprintf("%.4g", l.Components), l.Smoothing,
			fmt.Sprintf("%.2f", l.Seconds), fmt.Sprintf("%.2f", l.CPU), fmt.Sprintf("%.3f", l.Seconds/l.Weights()*1e6), bytesText(l.Peak), fmt.Sprintf("%.1f", float64(l.Peak)/l.Weights())})
	}
	c.render(e, t)
	if !c.Stages {
		return
	}
	fmt.Fprintln(e.out)
	t = newTable()
	t.AppendHeader(table.Row{"recipe, synthetic", "bits", "stage", "seconds", "CPU seconds", "GFLOP a CPU second", "MatMulNT's", "share"})
	for _, l := range all {
		for _, g := range l.Stages {
			if g.Seconds < 0.02*l.Seconds {
				continue
			}
			row := table.Row{l.Recipe, l.Bits, g.Name, fmt.Sprintf("%.3f", g.Seconds), fmt.Sprintf("%.3f", g.CPU), "", "", ""}
			product := l.Product32
			if g.Wide {
				product = l.Product64
			}
			if g.Flops > 0 && g.CPU > 0 && product.PerCPU > 0 {
				speed := g.Flops / g.CPU
				row[5], row[6], row[7] = fmt.Sprintf("%.1f", speed/1e9), fmt.Sprintf("%.1f", product.PerCPU/1e9), fmt.Sprintf("%.0f %%", 100*speed/product.PerCPU)
			}
			t.AppendRow(row)
		}
	}
	c.render(e, t)
}

func (c *layerCmd) render(e *env, t table.Writer) {
	if c.Markdown {
		fmt.Fprintln(e.out, t.RenderMarkdown())
	} else {
		fmt.Fprintln(e.out, t.Render())
	}
}
