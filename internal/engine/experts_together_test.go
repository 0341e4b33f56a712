package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/ggml"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
)

// randomMixture makes a mixture of quantized experts with weights of a type, and the scratch
// memory for so many tokens.
func randomMixture(tb testing.TB, pool *parallel.Pool, c *checkpoint.Config, kind string, act integer.ActGrid, tokens int) (*mixture, *scratch) {
	tb.Helper()
	rng := rand.New(rand.NewPCG(3, 1))
	b := ggml.ByName(kind)
	layer := func(rows ...int) *quantized {
		l := &quantized{in: rows[len(rows)-1], act: act, group: b.Group}
		for i, n := range rows[:len(rows)-1] {
			w, err := repack(pool, &largePages{}, randomBlocks(rng, b, n, l.in))
			if err != nil {
				tb.Fatal(err)
			}
			l.matrices, l.widths, l.bias, l.at = append(l.matrices, w), append(l.widths, n), append(l.bias, nil), append(l.at, i)
		}
		return l
	}
	x := &mixture{router: make([]float32, c.Experts.Count*c.HiddenSize)}
	for i := range x.router {
		x.router[i] = float32(rng.NormFloat64())
	}
	one := c.Experts.Count
	if one > 8 { // making random blocks takes long: the experts' matrices are copies of one's
		one = 1
	}
	for e := range c.Experts.Count {
		if e < one {
			x.gateUp, x.down = append(x.gateUp, layer(c.IntermediateSize, c.IntermediateSize, c.HiddenSize)), append(x.down, layer(c.HiddenSize, c.IntermediateSize))
			continue
		}
		again := func(p projection) projection {
			l := *p.(*quantized)
			l.matrices = slices.Clone(l.matrices)
			for i, w := range l.matrices {
				copied := *w
				copied.Tiles, copied.Scale, copied.HalfScale = slices.Clone(w.Tiles), slices.Clone(w.Scale), slices.Clone(w.HalfScale)
				l.matrices[i] = &copied
			}
			return &l
		}
		x.gateUp, x.down = append(x.gateUp, again(x.gateUp[0])), append(x.down, again(x.down[0]))
	}
	floats := func(width int) []float32 { return make([]float32, tokens*width) }
	s := &scratch{pool: pool, norm: floats(c.HiddenSize), out: floats(c.HiddenSize), gate: floats(c.IntermediateSize), up: floats(c.IntermediateSize)}
	return x, s
}

// TestExpertsTogether: experts that are computed together have the bits of those that are
// computed one after the other.
func TestExpertsTogether(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	rng := rand.New(rand.NewPCG(4, 1))
	c := &checkpoint.Config{HiddenSize: 256, IntermediateSize: 512, Parts: checkpoint.Parts{Experts: checkpoint.Experts{Count: 7, Used: 3}}}
	hadamard, err := linalg.NewHadamard(c.IntermediateSize)
	if err != nil {
		t.Fatal(err)
	}
	const most = 9
	for _, act := range []integer.ActGrid{{Bits: 8, Clip: 1, Group: 32}, {Bits: 8, Clip: 1}, {Bits: 4, Clip: 1, Group: 16}} {
		for _, kind := range []string{"Q4_0", "IQ4_NL", "Q6_K"} {
			for _, transform := range []linalg.Transform{nil, hadamard} {
				x, s := randomMixture(t, pool, c, kind, act, most)
				for _, p := range x.down {
					p.(*quantized).transform = transform
				}
				for n := 1; n <= most; n++ {
					for i := range s.norm {
						s.norm[i] = float32(rng.NormFloat64())
					}
					s.mixture.routing.Route(pool, c, x.router, s.norm, n)
					clear(s.out)
					x.apart(s, c, n)
					want := slices.Clone(s.out)
					clear(s.out)
					if !x.together(s, c, n) {
						t.Fatalf("%s: these experts can be computed together", kind)
					}
					for i, v := range want {
						if math.Float32bits(s.out[i]) != math.Float32bits(v) {
							t.Fatalf("%s, %+v, %d tokens: value %d is %v, apart %v", kind, act, n, i, s.out[i], v)
						}
					}
				}
			}
		}
	}
	x, s := randomMixture(t, pool, c, "Q4_0", integer.ActGrid{Bits: 8, Clip: 1}, 1)
	for _, p := range x.gateUp {
		p.(*quantized).bias[1] = make([]float32, c.IntermediateSize)
	}
	s.mixture.routing.Route(pool, c, x.router, s.norm, 1)
	if x.together(s, c, 1) {
		t.Error("experts with biases were computed together, without them")
	}
	x.gateUp[0] = &plain{weights: []float.HalfMatrix{{}}}
	s.mixture.routing.Route(pool, c, make([]float32, len(x.router)), s.norm, 1) // sends the token to the first experts
	if x.together(s, c, 1) {
		t.Error("experts in 16 bits were computed together")
	}
}

// BenchmarkExpertsTurns takes turns between experts together and one after the other, in the
// shapes of OLMoE 1B-7B and of a model with narrow experts: the best turns hold on a machine
// that others use. Their weights come from memory.
func BenchmarkExpertsTurns(b *testing.B) {
	for _, c := range []*checkpoint.Config{
		{HiddenSize: 2048, IntermediateSize: 1024, Parts: checkpoint.Parts{Experts: checkpoint.Experts{Count: 64, Used: 8}}},
		{HiddenSize: 1024, IntermediateSize: 512, Parts: checkpoint.Parts{Experts: checkpoint.Experts{Count: 64, Used: 8}}},
	} {
		for _, threads := range []int{1, 2} {
			pool := parallel.NewPool(threads)
			x, s := randomMixture(b, pool, c, "Q4_0", integer.ActGrid{Bits: 8, Clip: 1, Group: 32}, 16)
			for _, n := range []int{1, 2, 4, 8, 16} {
				name := fmt.Sprintf("%dx%d/%dthreads/%dtokens", c.HiddenSize, c.IntermediateSize, threads, n)
				b.Run(name, func(b *testing.B) { expertTurns(b, c, x, s, n) })
			}
			pool.Close()
		}
	}
}

func expertTurns(b *testing.B, c *checkpoint.Config, x *mixture, s *scratch, n int) {
	rng := rand.New(rand.NewPCG(5, 1))
	best := [2]time.Duration{time.Hour, time.Hour}
	for b.Loop() {
		for turn := range best {
			for i := range s.norm {
				s.norm[i] = float32(rng.NormFloat64())
			}
			s.mixture.routing.Route(s.pool, c, x.router, s.norm, n)
			start := time.Now()
			if turn == 0 {
				x.apart(s, c, n)
			} else {
				x.together(s, c, n)
			}
			best[turn] = min(best[turn], time.Since(start))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(best[0].Nanoseconds())/1e3, "apart-us")
	b.ReportMetric(best[1].Seconds()/best[0].Seconds(), "together/apart")
}
