package stage

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
	"github.com/specquant/specquant/internal/tokenizer"
)

// modelAndWindows returns a small model with inputs of o wider than the stream, or narrower, so
// many windows of tokens, and two threads.
func modelAndWindows(t *testing.T, count, tokens int) (*checkpoint.Checkpoint, [][]int, *parallel.Pool) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := testmodel.Write(dir, testmodel.Options{Heads: 4, KVHeads: 2, HeadDim: 16}); err != nil {
		t.Fatal(err)
	}
	ck, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ck.Close() })
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tok.Encode(strings.Repeat("Sphinx of black quartz, judge my vow. ", 4*count), true)
	if err != nil {
		t.Fatal(err)
	}
	windows := make([][]int, count)
	for i := range windows {
		windows[i] = ids[i*tokens:][:tokens]
	}
	pool := parallel.NewPool(2)
	t.Cleanup(pool.Close)
	return ck, windows, pool
}

// TestCarried quantizes two blocks with windows that begin anew for every input, and with
// windows that are kept where they have come to, in memory and in a file: the same codes,
// and the same activations after each block, to the bit.
func TestCarried(t *testing.T) {
	r, err := recipe.Parse([]byte("name: test\nbits: 4-8-8\nweights: {group: 32, zero: centred, clip: hessian}\nsmooth: {alpha: [off, 0.5]}\n"+
		"rotate: {heads: hadamard, cache: balanced, attn: hadamard, o: hadamard, mlp: hadamard, down: hadamard}\n"+
		"solve: {method: gptq, damp: 0.01, act-order: true}\ncalibration: {samples: 3, tokens: 32, propagate: runtime}\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	const tokens = 32
	ck, windows, pool := modelAndWindows(t, 3, tokens)

	quantize := func(carried func() (*Store, error), spill string) (codes [][]byte, after [][]float32) {
		st, err := New(&ck.Config, r, pool, len(windows), tokens)
		if err != nil {
			t.Fatal(err)
		}
		if st.Inputs, err = st.Fill(ck, windows, spill); err != nil {
			t.Fatal(err)
		}
		defer st.Inputs.Close()
		if st.Carried, err = carried(); err != nil {
			t.Fatal(err)
		}
		defer st.Carried.Close()
		for i := range min(2, ck.Config.Layers) {
			if err := st.Load(ck, i); err != nil {
				t.Fatal(err)
			}
			for _, s := range Steps(&ck.Config, r, i, true) {
				if err := st.Do(t.Context(), s); err != nil {
					t.Fatalf("%s: %v", s, err)
				}
			}
			for l := range llama.NumLinears {
				codes = append(codes, slices.Clone(st.Quantized[l].Tiles))
			}
			if err := st.AdvanceInputs(t.Context()); err != nil {
				t.Fatal(err)
			}
			for w := range windows {
				x, err := st.Inputs.Get(w)
				if err != nil {
					t.Fatal(err)
				}
				after = append(after, slices.Clone(x))
			}
			st.Quantized = nil
		}
		return codes, after
	}
	wantCodes, wantAfter := quantize(func() (*Store, error) { return nil, nil }, "")
	for _, spill := range []string{"", filepath.Join(t.TempDir(), "carried")} {
		inputs := ""
		if spill != "" {
			inputs = spill + ".inputs"
		}
		codes, after := quantize(func() (*Store, error) { return NewCarried(&ck.Config, len(windows), tokens, spill) }, inputs)
		if !slices.EqualFunc(codes, wantCodes, slices.Equal[[]byte]) {
			t.Errorf("spilled to %q: other codes", spill)
		}
		if !slices.EqualFunc(after, wantAfter, slices.Equal[[]float32]) {
			t.Errorf("spilled to %q: other activations", spill)
		}
	}
}
