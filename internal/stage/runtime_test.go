package stage

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// TestInstalled: a finished layer runs on the integer kernels, gives what the emulation in
// float32 gives but for rounding, and the same bits for any number of threads.
func TestInstalled(t *testing.T) {
	one, three := parallel.NewPool(1), parallel.NewPool(3)
	defer one.Close()
	defer three.Close()
	const out, in, tokens = 37, 96, 19
	r := rand.New(rand.NewPCG(1, 2))
	x, w, bias := make([]float32, tokens*in), make([]float32, out*in), make([]float32, out)
	for _, v := range [][]float32{x, w, bias} {
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
	}
	for _, g := range []quant.Grid{{Bits: 4, Zero: quant.ZeroCentred}, {Bits: 5, Group: 32, Zero: quant.ZeroCentred}, {Bits: 3, Group: 32, Zero: quant.ZeroAsymmetric}, {Bits: 8}, quant.MultipleGrid(5, 16), quant.MultipleGrid(3, 16), quant.MultipleGrid(4, 32)} {
		for _, act := range []integer.ActGrid{{Bits: 8, Clip: 1}, {Bits: 4, Clip: 0.9, Group: 16}} {
			t.Run(fmt.Sprint(g, act), func(t *testing.T) {
				steps, err := g.Scales(w, out, in, quant.ClipNone, one.Run)
				if err != nil {
					t.Fatal(err)
				}
				q := make([]int8, out*in)
				g.RTN(q, w, steps, out, in, one.Run)
				linear := artefact.NewLinear(g, q, steps, out, in, nil, bias, one.Run)
				d := &llama.Dense{Out: out, In: in, W: make([]float32, out*in), Bias: bias}
				linear.Residual(d.W, one.Run)
				run, err := installed(d, linear, act, &runScratch{})
				if err != nil {
					t.Fatal(err)
				}
				want, got, again := make([]float32, tokens*out), make([]float32, tokens*out), make([]float32, tokens*out)
				newRunLinear(d, nil, act, &runScratch{}).Forward(one, want, x, tokens)
				run.Forward(one, got, x, tokens)
				run.Forward(three, again, x, tokens)
				if e := Relative(want, got); !(e < 1e-6) || run.codes == nil {
					t.Errorf("the integers differ from the emulation by %g", e)
				}
				if !slices.Equal(got, again) {
					t.Error("three threads give other bits")
				}
			})
		}
	}
}
