package stage

import (
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/recipe"
)

// TestKeptIsAllocated: what is declared of a state's memory is what New allocates.
func TestKeptIsAllocated(t *testing.T) {
	pool := parallel.NewPool(1)
	defer pool.Close()
	r, err := recipe.Load("gptq")
	if err != nil {
		t.Fatal(err)
	}
	c := &checkpoint.Config{HiddenSize: 48, IntermediateSize: 140, Layers: 1, Heads: 4, KVHeads: 2, HeadDim: 12, VocabSize: 300, MaxPositions: 64}
	const windows, tokens = 5, 24
	st, err := New(c, r, pool, windows, tokens)
	if err != nil {
		t.Fatal(err)
	}
	layer, _, in := Largest(c)
	if got, want := int64(len(st.q)), weightScratchBytes(layer, in); got != want { // the copies lie in the Hessian
		t.Errorf("scratch for weights: %d bytes, declared %d", got, want)
	}
	var stats int64
	for _, s := range st.Stats {
		stats += int64(4*cap(s.Sample) + 4*len(s.AbsMax) + 8*(len(s.sumAbs)+len(s.sum)+len(s.sumSquare)))
	}
	if want := statsBytes(c, windows*tokens); stats > want {
		t.Errorf("statistics: %d bytes, declared %d", stats, want)
	}
	outputs, _ := readers(c)
	samples := int64(4*(len(st.want)+len(st.got)+len(st.xhat)+len(st.xq))) + windows*tokens*(int64(in)+4*outputs) // codes and exact outputs are made when they are wanted
	if want := sampleScratchBytes(c, windows*tokens); samples != want {
		t.Errorf("scratch on the sample: %d bytes, declared %d", samples, want)
	}
	if 8*len(st.hessian) != 8*in*in {
		t.Errorf("Hessian of %d", len(st.hessian))
	}
}
