package pipeline

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/stage"
)

// TestRotatedWidths: at the widths of models that other tools refuse, a layer with
// the inverse folded in, given what the runtime does to its input, computes what
// it computed before; and the plan names the construction.
func TestRotatedWidths(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	r := parsed(t, "bits: 4-4-4\nrotate: {down: hadamard, seed: 3}\nsolve: {method: rtn}\n")
	for width, want := range map[int]string{
		5632: "Paley I 44 × Sylvester 128", 10944: "Sylvester 4 × Paley II 36 × Paley II 76", 11008: "Paley I 344 × Sylvester 32",
		13696: "cosine 107 × Sylvester 128", 14336: "Paley I 28 × Sylvester 512", 18944: "Paley II 148 × Sylvester 128",
	} {
		const hidden, rows, tokens = 8, 8, 3
		c := &checkpoint.Config{HiddenSize: hidden, IntermediateSize: width, Layers: 1, Heads: 2, KVHeads: 2, HeadDim: 4, VocabSize: 300, MaxPositions: 64}
		st := &stage.State{Config: c, Recipe: r, Pool: pool}
		var err error
		if st.Rotation, err = stage.NewRotation(r, c); err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(uint64(width), 1))
		random := func(n int, size float64) []float32 {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(rng.NormFloat64() * size)
			}
			return x
		}
		for l := range llama.NumLinears {
			out, in := l.Shape(c)
			st.Block.Linears[l] = llama.Dense{Out: out, In: in, W: random(out*in, 1/math.Sqrt(float64(in)))}
		}
		st.Block.AttnNorm, st.Block.MLPNorm = random(hidden, 1), random(hidden, 1)
		gate, x := random(tokens*width, 1), random(tokens*hidden, 1)
		// down's input is gate ⊙ up·x; the signs are folded into up's rows.
		forward := func(turned bool) []float32 {
			up, down := &st.Block.Linears[llama.Up], &st.Block.Linears[llama.Down]
			h, y := make([]float32, tokens*width), make([]float32, tokens*hidden)
			up.Forward(pool, h, x, tokens)
			for i := range h {
				h[i] *= gate[i]
			}
			h[7] = 1000 // a massive value, times its channel's sign
			if turned {
				h[7] *= st.Rotation.Signs[llama.DownInput][7]
				turn, err := artefact.NewTransform("hadamard", llama.DownInput, c) // as the runtime makes it
				if err != nil {
					t.Fatal(err)
				}
				turn.Apply(pool, h, tokens)
			}
			down.Forward(pool, y, h, tokens)
			return y
		}
		before := forward(false)
		st.FoldRotation()
		if e := stage.Relative(before, forward(true)); !(e < 1e-5) {
			t.Errorf("width %d: output off by %.2g", width, e)
		}
		plan, err := NewPlan(c, 1, 1, 0, r, 1, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Rotations) != 1 || plan.Rotations[0] != (artefact.Rotation{Where: "rotate.down", Width: width, Name: want}) {
			t.Errorf("width %d: the plan has %v, want %s", width, plan.Rotations, want)
		}
		if cosine := strings.Contains(want, "cosine"); cosine != (len(plan.Fallbacks) == 1) || cosine && !strings.Contains(plan.Fallbacks[0].String(), want) {
			t.Errorf("width %d: fallbacks %v", width, plan.Fallbacks)
		}
	}
}
