package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// BenchmarkForward runs the TinyLlama shape with random weights: 512 tokens of
// a prompt, and one token for each of some sequences, with the branch and
// without.
func BenchmarkForward(b *testing.B) {
	if testing.Short() {
		b.Skip("needs 700 MB")
	}
	pool := parallel.NewPool(0)
	defer pool.Close()
	m, err := engine.NewRandom(engine.Shapes["tinyllama-1.1b"], artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: 8}, Head: 8,
		Branch: &artefact.BranchFormat{Basis: "dft", Axis: "output"}}, engine.Random{Keep: func(llama.Input, int, int) int { return 16 }},
		engine.Options{Pool: pool, Context: 1024})
	if err != nil {
		b.Fatal(err)
	}
	none := func(int, int, []float32) error { return nil }
	for _, c := range []struct{ sequences, tokens int }{{1, 512}, {1, 1}, {8, 1}} {
		for _, skip := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dx%d/branch=%v", c.sequences, c.tokens, !skip), func(b *testing.B) {
				m.SkipBranch(skip)
				defer m.SkipBranch(false)
				steps := make([]engine.Step, c.sequences)
				for i := range steps {
					steps[i] = engine.Step{Seq: m.NewSequence(), IDs: make([]int, c.tokens), Want: engine.WantLast}
				}
				b.ReportAllocs()
				for b.Loop() {
					for i := range steps {
						steps[i].Seq.Truncate(0)
					}
					if err := m.Forward(b.Context(), steps, none); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(c.sequences*c.tokens*b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

// BenchmarkBranch alternates passes with the branch and without, so that a
// noisy machine disturbs both alike, and reports the branch's share of the
// median and of the fastest pass.
func BenchmarkBranch(b *testing.B) {
	if testing.Short() {
		b.Skip("needs 700 MB")
	}
	pool := parallel.NewPool(0)
	defer pool.Close()
	m, err := engine.NewRandom(engine.Shapes["tinyllama-1.1b"], artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: 8}, Head: 8,
		Branch: &artefact.BranchFormat{Basis: "dft", Axis: "output"}}, engine.Random{Keep: func(llama.Input, int, int) int { return 16 }},
		engine.Options{Pool: pool, Context: 1024})
	if err != nil {
		b.Fatal(err)
	}
	none := func(int, int, []float32) error { return nil }
	for _, tokens := range []int{1, 8, 128} {
		b.Run(fmt.Sprint(tokens), func(b *testing.B) {
			step := []engine.Step{{Seq: m.NewSequence(), IDs: make([]int, tokens), Want: engine.WantLast}}
			var took [2][]float64
			for b.Loop() {
				for i := range took {
					m.SkipBranch(i == 1)
					step[0].Seq.Truncate(0)
					start := time.Now()
					if err := m.Forward(b.Context(), step, none); err != nil {
						b.Fatal(err)
					}
					took[i] = append(took[i], time.Since(start).Seconds())
				}
			}
			m.SkipBranch(false)
			for i := range took {
				slices.Sort(took[i])
			}
			n := len(took[0]) / 2
			b.ReportMetric(100*(1-took[1][n]/took[0][n]), "%median")
			b.ReportMetric(100*(1-took[1][0]/took[0][0]), "%fastest")
			b.ReportMetric(float64(tokens)/took[0][n], "tokens/s")
			b.ReportMetric(float64(tokens)/took[0][0], "most-tokens/s")
		})
	}
}
