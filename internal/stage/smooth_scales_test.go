package stage

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"pgregory.net/rapid"
)

func near(a, b []float32, relative float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Abs(float64(a[i])-float64(b[i])) > relative*math.Abs(float64(b[i])) {
			return false
		}
	}
	return true
}

func TestLambda(t *testing.T) {
	for _, c := range []struct {
		name   string
		alpha  recipe.Alpha
		act, w []float32
		tie    []int
		want   []float32
	}{
		// √(act/w) = 2, 0.5, 8 with geometric mean 2.
		{"half", 0.5, []float32{4, 1, 16}, []float32{1, 4, 0.25}, nil, []float32{1, 0.25, 4}},
		{"all from the activations", 1, []float32{2, 4, 1}, []float32{9, 1, 7}, nil, []float32{1, 2, 0.5}},
		{"all from the weights", 0, []float32{2, 4, 1}, []float32{0.5, 2, 1}, nil, []float32{2, 0.5, 1}},
		// 16^¼/1^¾ = 2, 1/16^¾ = 1/8, with geometric mean ½.
		{"a quarter", 0.25, []float32{16, 1}, []float32{1, 16}, nil, []float32{4, 0.25}},
		{"off", recipe.Off, []float32{2, 4, 1}, []float32{9, 1, 0}, nil, []float32{1, 1, 1}},
		{"dead activation", 1, []float32{0, 4, 1}, []float32{1, 1, 1}, nil, []float32{1, 2, 0.5}},
		{"dead weights", 1, []float32{9, 4, 1}, []float32{0, 1, 1}, nil, []float32{1, 2, 0.5}},
		{"all dead", 0.5, []float32{0, 1}, []float32{1, 0}, nil, []float32{1, 1}},
		{"NaN", 1, []float32{float32(math.NaN()), 4, 1}, []float32{1, 1, 1}, nil, []float32{1, 2, 0.5}},
		// Heads 0 and 1 read kv channels 0, 1; the maxima are (4, 1).
		{"tied", 1, []float32{4, 0.25, 1, 1}, []float32{1, 1, 1, 1}, []int{0, 1, 0, 1}, []float32{2, 0.5, 2, 0.5}},
		// A channel that one head never uses is alive through the other.
		{"tied to a dead one", 1, []float32{4, 0, 0, 1}, []float32{0, 1, 1, 1}, []int{0, 1, 0, 1}, []float32{2, 0.5, 2, 0.5}},
		{"limits", 0, []float32{1, 1}, []float32{1e-30, 1e30}, nil, []float32{lambdaMax, lambdaMin}},
		// Less than a sixteenth of the median channel supports no more: 8 over ½.
		{"hardly touched", 1, []float32{8, 1e-6, 8}, []float32{1, 1, 1}, nil, []float32{2.5198421, 0.15749013, 2.5198421}},
	} {
		act, w := slices.Clone(c.act), slices.Clone(c.w)
		got := Lambda(c.alpha, act, w, c.tie)
		if !near(got, c.want, 1e-6) {
			t.Errorf("%s: λ = %v, want %v", c.name, got, c.want)
		}
		for i := range act {
			if math.Float32bits(act[i]) != math.Float32bits(c.act[i]) || math.Float32bits(w[i]) != math.Float32bits(c.w[i]) {
				t.Errorf("%s: the maxima were changed", c.name)
				break
			}
		}
	}
}

// λ is the formula up to one factor, has a geometric mean of one, and can
// always be divided by.
func TestLambdaProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "n")
		alpha := rapid.Float64Range(0, 1).Draw(t, "alpha")
		exponents := rapid.Float64Range(-4, 4)
		act, w := make([]float32, n), make([]float32, n)
		for i := range n {
			act[i] = float32(math.Exp(exponents.Draw(t, "act")))
			w[i] = float32(math.Exp(exponents.Draw(t, "w")))
		}
		got := Lambda(recipe.Alpha(alpha), act, w, nil)
		act = supported(act)
		raw := func(i int) float64 {
			return math.Pow(float64(act[i]), alpha) / math.Pow(float64(w[i]), 1-alpha)
		}
		var logs float64
		for i, l := range got {
			logs += math.Log(float64(l))
			if r := float64(l) / float64(got[0]) / (raw(i) / raw(0)); math.Abs(r-1) > 1e-5 {
				t.Fatalf("λ[%d]/λ[0] is off the formula by %g", i, r-1)
			}
		}
		if math.Abs(logs) > 1e-5*float64(n) {
			t.Fatalf("geometric mean %v", math.Exp(logs/float64(n)))
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]float32{0, 1e-45, 1e-38, 1e-7, 1, 65504, math.MaxFloat32})
		act, w := rapid.SliceOfN(v, 6, 6).Draw(t, "act"), rapid.SliceOfN(v, 6, 6).Draw(t, "w")
		for i, l := range Lambda(recipe.Alpha(rapid.Float64Range(0, 1).Draw(t, "alpha")), act, w, []int{0, 1, 2, 0, 1, 2}) {
			if !(l >= lambdaMin && l <= lambdaMax) {
				t.Fatalf("λ[%d] = %v", i, l)
			}
		}
	})
}

func TestColumnMax(t *testing.T) {
	got := ColumnMax(3, []float32{1, -5, 0, -2, 3, 0}, []float32{-1.5, 0, float32(math.Copysign(0, -1))})
	if !slices.Equal(got, []float32{2, 5, 0}) {
		t.Errorf("maxima %v", got)
	}
	if got := ColumnMax(2); !slices.Equal(got, []float32{0, 0}) {
		t.Errorf("maxima of nothing %v", got)
	}
}

func TestScaling(t *testing.T) {
	lambda := []float32{2, 0.5, 4}
	w := []float32{1, 2, 3, -4, 5, 6}
	ScaleColumns(w, lambda, (*parallel.Pool)(nil).Run)
	if want := []float32{2, 1, 12, -8, 2.5, 24}; !slices.Equal(w, want) {
		t.Errorf("columns: %v, want %v", w, want)
	}
	x := []float32{2, 1, 12, -8, 2.5, 24}
	DivideTokens(x, x, lambda)
	if want := []float32{1, 2, 3, -4, 5, 6}; !slices.Equal(x, want) {
		t.Errorf("tokens: %v, want %v", x, want)
	}
	rows, bias := []float32{2, 4, 1, 1, 8, 0}, []float32{2, 1, 4}
	DivideRows(rows, bias, lambda, (*parallel.Pool)(nil).Run)
	if want := []float32{1, 2, 2, 2, 2, 0}; !slices.Equal(rows, want) || !slices.Equal(bias, []float32{1, 2, 1}) {
		t.Errorf("rows: %v with bias %v, want %v", rows, bias, want)
	}
	DivideRows(rows, nil, lambda, (*parallel.Pool)(nil).Run)
}

// foldConfig is a block with grouped-query attention: four query heads, two kv
// heads.
var foldConfig = checkpoint.Config{HiddenSize: 20, IntermediateSize: 28, Layers: 1, Heads: 4, KVHeads: 2, HeadDim: 6,
	MaxPositions: 32, NormEps: 1e-5, RopeTheta: 10000}

func randomBlock(rng *rand.Rand, c *checkpoint.Config, bias bool) *llama.DenseBlock {
	b := &llama.DenseBlock{Norms: llama.Norms{AttnNorm: make([]float32, c.HiddenSize), MLPNorm: make([]float32, c.HiddenSize)}}
	for i := range b.AttnNorm {
		b.AttnNorm[i], b.MLPNorm[i] = float32(math.Exp(rng.NormFloat64())), float32(math.Exp(2*rng.NormFloat64()))
	}
	for l := range llama.NumLinears {
		out, in := l.Shape(c)
		b.Linears[l] = llama.Dense{Out: out, In: in, W: randomMatrix(rng, out*in)}
		if bias {
			b.Linears[l].Bias = randomMatrix(rng, out)
		}
	}
	return b
}

// tieOf maps each channel of o's input to the channel of v that it is made of.
func tieOf(c *checkpoint.Config) []int {
	tie := make([]int, c.Heads*c.HeadDim)
	for i := range tie {
		head, dim := i/c.HeadDim, i%c.HeadDim
		tie[i] = head/(c.Heads/c.KVHeads)*c.HeadDim + dim
	}
	return tie
}

// foldInto smooths one input of the block as METHOD section 1 says.
func foldInto(b *llama.DenseBlock, c *checkpoint.Config, in llama.Input, lambda []float32) {
	run := (*parallel.Pool)(nil).Run
	for _, l := range in.Readers() {
		ScaleColumns(b.Linears[l].W, lambda, run)
	}
	switch in {
	case llama.AttnInput:
		DivideTokens(b.AttnNorm, b.AttnNorm, lambda)
	case llama.MLPInput:
		DivideTokens(b.MLPNorm, b.MLPNorm, lambda)
	case llama.OInput:
		rows := make([]float32, c.KVHeads*c.HeadDim)
		for i, kv := range tieOf(c) {
			rows[kv] = lambda[i]
		}
		v := &b.Linears[llama.V]
		DivideRows(v.W, v.Bias, rows, run)
	case llama.DownInput:
		up := &b.Linears[llama.Up]
		DivideRows(up.W, up.Bias, lambda, run)
	}
}

// Folding λ leaves a block's function unchanged: to rounding for any λ, to the
// bit where λ are powers of two, since those commute with rounding.
func TestFoldingIsExact(t *testing.T) {
	c := &foldConfig
	const tokens = 17
	for _, bias := range []bool{false, true} {
		for _, alpha := range []recipe.Alpha{recipe.Off, 0, 0.4, 1} {
			for _, power := range []bool{false, true} {
				t.Run(fmt.Sprintf("bias %v, alpha %v, powers of two %v", bias, alpha, power), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(6, 1))
					b := randomBlock(rng, c, bias)
					x := randomMatrix(rng, tokens*c.HiddenSize)
					run := func() (y []float32, stats [llama.NumInputs]*Stats) {
						for in := range llama.NumInputs {
							stats[in] = NewStats(in.Width(c), tokens, tokens)
						}
						y = slices.Clone(x)
						llama.NewRunner(c, nil, tokens).Block(b.Block(), y, tokens, llama.Hooks{
							Tap: func(in llama.Input, x []float32, n, _ int) bool {
								if err := stats[in].Add(nil, x, n); err != nil {
									t.Fatal(err)
								}
								return true
							}})
						return y, stats
					}
					want, before := run()
					var lambdas [llama.NumInputs][]float32
					for _, in := range []llama.Input{llama.DownInput, llama.OInput, llama.MLPInput, llama.AttnInput} {
						var tie []int
						if in == llama.OInput {
							tie = tieOf(c)
						}
						var readers [][]float32
						for _, l := range in.Readers() {
							readers = append(readers, b.Linears[l].W)
						}
						lambda := Lambda(alpha, before[in].AbsMax, ColumnMax(in.Width(c), readers...), tie)
						if power {
							for i, l := range lambda {
								lambda[i] = float32(math.Exp2(math.Round(math.Log2(float64(l)))))
							}
						}
						for i, j := range tie {
							if lambda[i] != lambda[i%c.HeadDim+i/c.HeadDim/2*2*c.HeadDim] {
								t.Fatalf("channels of v channel %d have different λ", j)
							}
						}
						foldInto(b, c, in, lambda)
						lambdas[in] = lambda
					}
					got, after := run()
					var worst float64
					for i := range want {
						worst = max(worst, math.Abs(float64(got[i]-want[i]))/(1+math.Abs(float64(want[i]))))
					}
					if limit := 2e-4; worst > limit || power && worst != 0 {
						t.Errorf("the output moved by %g", worst)
					}
					// And the inputs are what they were, divided by λ.
					for in := range llama.NumInputs {
						DivideTokens(before[in].AbsMax, before[in].AbsMax, lambdas[in])
						if !near(after[in].AbsMax, before[in].AbsMax, 1e-3) {
							t.Errorf("input of %s: maxima %v, want %v", in, after[in].AbsMax, before[in].AbsMax)
						}
					}
				})
			}
		}
	}
}
