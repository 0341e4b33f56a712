package stage

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
)

// readings are what one model's layers read in every window of a block, row by row.
type readings struct{ input, stream [][]float32 }

// read runs a block from its beginning over every window of a store.
func read(t *testing.T, st *State, s *Store, b *llama.Block, in llama.Input, h llama.Hooks) (out readings) {
	t.Helper()
	r := llama.NewRunner(st.Config, st.Pool, st.Tokens)
	for i := range st.Windows {
		x, err := s.Get(i)
		if err != nil {
			t.Fatal(err)
		}
		x = slices.Clone(x)
		h.Tap = func(at llama.Input, v []float32, tokens, width int) bool {
			if at == in {
				out.input = append(out.input, slices.Clone(v[:tokens*width]))
				out.stream = append(out.stream, slices.Clone(x))
			}
			return at != in
		}
		r.Block(b, x, st.Tokens, h)
	}
	return out
}

// TestFitDefinition compares the sums that a fit collects, and the strength that the windows
// left out give, with their definition in fit.go, computed from the beginning of the block and
// in float64: of layers with and without branch, in memory and in files.
func TestFitDefinition(t *testing.T) {
	const tokens = 32
	ck, windows, pool := modelAndWindows(t, 5, tokens)

	for _, c := range []struct{ correct, branch, spill string }{
		{"judged", "", ""},
		{"judged", "", filepath.Join(t.TempDir(), "spill")},
		{"stream", "", ""},
		{"judged", "branch: {basis: klt, axis: output, components: 4, overhead: 2, bits: 8, remove: true}\n", ""},
	} {
		t.Run(fmt.Sprintf("%s, branch %t, in a file %t", c.correct, c.branch != "", c.spill != ""), func(t *testing.T) {
			r, err := recipe.Parse([]byte("name: test\nbits: 3-8-8\nweights: {group: 32, zero: centred, clip: hessian}\n"+c.branch+
				"rotate: {attn: hadamard, o: hadamard, mlp: hadamard, down: hadamard}\nsolve: {method: gptq, damp: 0.01, act-order: true, correct: "+c.correct+"}\n"+
				"calibration: {samples: 5, tokens: 32, propagate: runtime}\n"), "test")
			if err != nil {
				t.Fatal(err)
			}
			st, err := New(&ck.Config, r, pool, len(windows), tokens)
			if err != nil {
				t.Fatal(err)
			}
			spill := func(name string) string {
				if c.spill == "" {
					return ""
				}
				return c.spill + name
			}
			if st.Inputs, err = st.Fill(ck, windows, spill("inputs")); err != nil {
				t.Fatal(err)
			}
			defer st.Inputs.Close()
			if st.Reference.Inputs, err = st.Fill(ck, windows, spill("reference")); err != nil {
				t.Fatal(err)
			}
			defer st.Reference.Inputs.Close()
			if st.Carried, err = NewCarried(&ck.Config, len(windows), tokens, spill("carried")); err != nil {
				t.Fatal(err)
			}
			defer st.Carried.Close()
			if st.Reference.Carried, err = NewCarried(&ck.Config, len(windows), tokens, spill("reference carried")); err != nil {
				t.Fatal(err)
			}
			defer st.Reference.Carried.Close()
			for i := range 2 {
				if err := st.Load(ck, i); err != nil {
					t.Fatal(err)
				}
				strengths, fitted := map[llama.Which]float64{}, map[llama.Which][]float32{}
				for _, s := range Steps(&ck.Config, r, i, true) {
					var full, quantized readings
					if s.Kind == StepFit { // before the full-precision model goes on to the next block
						b := st.Reference.Block.Block()
						st.setTransforms(b)
						full = read(t, st, st.Reference.Inputs, b, s.Input, llama.Hooks{})
						quantized = read(t, st, st.Inputs, st.Runnable(), s.Input, llama.Hooks{KV: st.CacheHook()})
					}
					if err := st.Do(t.Context(), s); err != nil {
						t.Fatalf("%s: %v", s, err)
					}
					switch s.Kind {
					case StepFit:
						compareFit(t, st, s.Input, full, quantized)
					case StepFactor:
						for _, l := range s.Input.Readers() {
							strengths[l], fitted[l] = definedStrength(st, l)
						}
					case StepSolve:
						compareError(t, st, s.Layer, fitted[s.Layer], c.branch != "")
						got := st.report(s.Layer).Strength
						if c.correct != "judged" {
							if got != nil {
								t.Errorf("%s: strength %v, want none", s.Layer, *got)
							}
							break
						}
						if want := strengths[s.Layer]; got == nil || math.Abs(float64(*got)-want) > 0.002 {
							t.Errorf("block %d, %s: strength %v, want %.4f", i, s.Layer, got, want)
						}
					}
				}
				if err := st.AdvanceInputs(t.Context()); err != nil {
					t.Fatal(err)
				}
				want := slices.Clone(read(t, st, st.Reference.Inputs, st.Reference.Block.Block(), llama.AttnInput, llama.Hooks{}).stream[0])
				if err := st.AdvanceReference(t.Context(), ck, i); err != nil {
					t.Fatal(err)
				}
				if x, err := st.Reference.Inputs.Get(0); err != nil || !slices.Equal(x, want) {
					t.Errorf("block %d: the full-precision model was advanced twice (%v)", i, err)
				}
			}
		})
	}
}

// TestToStream: only o and down can make up for the stream's error, and only where what they
// give is added to it as it is.
func TestToStream(t *testing.T) {
	plain, normed := &checkpoint.Config{}, &checkpoint.Config{Parts: checkpoint.Parts{PostNorm: true}}
	for _, c := range []struct {
		correct string
		config  *checkpoint.Config
		want    [llama.NumInputs]bool
	}{
		{recipe.CorrectOutputs, plain, [llama.NumInputs]bool{}},
		{recipe.CorrectStream, plain, [llama.NumInputs]bool{llama.OInput: true, llama.DownInput: true}},
		{recipe.CorrectJudged, plain, [llama.NumInputs]bool{llama.OInput: true, llama.DownInput: true}},
		{recipe.CorrectJudged, normed, [llama.NumInputs]bool{}},
	} {
		r := &recipe.Recipe{Solve: recipe.Solve{Correct: c.correct}}
		for in, want := range c.want {
			if got := toStream(c.config, r, llama.Input(in)); got != want {
				t.Errorf("%s, normed %t, input of %s: %t, want %t", c.correct, c.config.PostNorm, llama.Input(in), got, want)
			}
		}
	}
}

// compareFit compares what [State.Fit] has collected for an input with Σ e·x̂ᵀ and Σ x̂·x̂ᵀ over
// the windows that are fitted. Sums of rounded integers may be off by a thousandth of the
// product of the two sides' norms.
func compareFit(t *testing.T, st *State, in llama.Input, full, quantized readings) {
	t.Helper()
	g, n := &st.group, in.Width(st.Config)
	for _, l := range in.Readers() {
		r := g.runs[l]
		out := r.residual.Out
		sum, h := make([]float64, out*n), make([]float64, n*n)
		ee, xx := make([]float64, out), make([]float64, n)
		fitted := 0
		for i, x := range quantized.input {
			xq, z := r.input(nil, x, st.Tokens)
			y := make([]float32, st.Tokens*out)
			r.product(nil, y, x, xq, z, st.Tokens)
			if st.judged(i) {
				continue
			}
			fitted++
			for tok := range st.Tokens {
				xt, weight := slices.Clone(xq[tok*n:][:n]), 1.
				if toStream(st.Config, st.Recipe, in) {
					width := st.Config.HiddenSize
					var square float64
					for _, v := range full.stream[i][tok*width:][:width] {
						square += float64(v) * float64(v)
					}
					weight = math.Sqrt(float64(width) / square)
				}
				for k := range xt {
					xt[k] *= float32(weight)
				}
				for o := range out {
					e := -float64(y[tok*out+o])
					for k, v := range full.input[i][tok*n:][:n] {
						e += float64(st.Reference.Block.Linears[l].W[o*n+k]) * float64(v)
					}
					if toStream(st.Config, st.Recipe, in) {
						e += float64(full.stream[i][tok*out+o] - quantized.stream[i][tok*out+o])
					}
					e *= weight
					ee[o] += e * e
					for k, v := range xt {
						sum[o*n+k] += e * float64(v)
					}
				}
				for a, v := range xt {
					xx[a] += float64(v) * float64(v)
					for b, w := range xt {
						h[a*n+b] += float64(v) * float64(w)
					}
				}
			}
		}
		if want := st.Windows; st.Recipe.Solve.Correct == recipe.CorrectJudged && fitted != want-1 {
			t.Fatalf("%d of %d windows are fitted, want one less", fitted, want)
		}
		got := g.fit.missing[l]
		if g.fit.drift != nil {
			got = make([]float32, out*n)
			for o := range out {
				for k, w := range r.residual.W[o*n:][:n] {
					for j := range n {
						got[o*n+j] += w * g.fit.drift[k*n+j]
					}
				}
			}
		}
		for k, want := range sum {
			if math.Abs(float64(got[k])-want) > 1e-2*math.Sqrt(ee[k/n]*xx[k%n]) {
				t.Fatalf("%s: Σ e·x̂ᵀ[%d] is %v, want %v", l, k, got[k], want)
			}
		}
		for k, want := range h {
			if math.Abs(g.moments[k]-want) > 1e-2*math.Sqrt(xx[k/n]*xx[k%n]) {
				t.Fatalf("%s: Σ x̂·x̂ᵀ[%d] is %v, want %v", l, k, g.moments[k], want)
			}
		}
	}
}

// compareError compares the error in the report with that of the rounded weights, whose outputs
// on the sample are in st.got, from the outputs of the fitted weights.
func compareError(t *testing.T, st *State, l llama.Which, fitted []float32, branch bool) {
	t.Helper()
	if branch {
		return // what the branch takes on has an error of its own
	}
	stats, d := st.Stats[l.Input()], &st.Block.Linears[l]
	want := make([]float32, stats.SampleTokens()*d.Out)
	for k := range want {
		tok, o := k/d.Out, k%d.Out
		var y float64
		for i, v := range stats.Sample[tok*d.In:][:d.In] {
			y += float64(v) * float64(fitted[o*d.In+i])
		}
		want[k] = float32(y)
	}
	if e := Relative(want, st.got[:len(want)]); math.Abs(e-st.report(l).Error) > 0.02*e {
		t.Errorf("%s: error %v from the fitted weights' outputs, the report says %v", l, e, st.report(l).Error)
	}
}

// definedStrength is the λ of a layer that is about to be solved, by its definition, and the
// weights that it gives.
func definedStrength(st *State, l llama.Which) (strength float64, fitted []float32) {
	f, d := st.group.fit, st.group.runs[l].residual
	step := slices.Clone(f.missing[l])
	if f.drift != nil {
		step = make([]float32, d.Out*d.In)
		for o := range d.Out {
			for k, w := range d.W[o*d.In:][:d.In] {
				for j := range d.In {
					step[o*d.In+j] += w * f.drift[k*d.In+j]
				}
			}
		}
	}
	st.group.factor.Solve(nil, step, d.Out)
	var both, square float64
	for tok := range f.judges.tokens {
		for o := range d.Out {
			var gain, missing float64
			for k := range d.In {
				gain += float64(step[o*d.In+k]) * float64(f.judges.input[tok*d.In+k])
				if f.drift != nil {
					missing += float64(d.W[o*d.In+k]) * float64(f.judges.drift[tok*d.In+k])
				}
			}
			if f.drift == nil {
				missing = float64(f.judges.missing[l][tok*d.Out+o])
			}
			both, square = both+gain*missing, square+gain*gain
		}
	}
	strength = max(0, min(1, both/square))
	if st.Recipe.Solve.Correct != recipe.CorrectJudged {
		strength = 1
	}
	for k, w := range d.W {
		fitted = append(fitted, w+float32(strength)*step[k])
	}
	return strength, fitted
}
