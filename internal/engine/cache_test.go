package engine

import (
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// TestCopyPrefix: a sequence that got its beginning from another goes on as if it had
// computed it, to the bit, whatever it held before; the other is as it was.
func TestCopyPrefix(t *testing.T) {
	for _, bits := range []int{4, 8, 16} {
		m, err := newRandom(small, artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: bits}, Head: 8}, Random{Keep: func(llama.Input, int, int) int { return 0 }}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		feed := func(s *Sequence, ids []int) (out []float32) {
			t.Helper()
			if err := m.Forward(t.Context(), []Step{{Seq: s, IDs: ids, Want: WantLast}}, func(_, _ int, l []float32) error {
				out = slices.Clone(l)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return out
		}
		ids := make([]int, 60)
		for i := range ids {
			ids[i] = i * 37 % 100
		}
		want := feed(m.NewSequence(), ids)
		from := m.NewSequence()
		feed(from, ids[:50])
		for _, n := range []int{1, 15, 16, 17, 33, 50} {
			to := m.NewSequence()
			feed(to, ids[20:43]) // something else
			to.CopyPrefix(from, n)
			if to.Tokens() != n {
				t.Fatalf("%d tokens after copying %d", to.Tokens(), n)
			}
			if got := feed(to, ids[n:]); !slices.Equal(got, want) {
				t.Errorf("KV %d bits: after a copied prefix of %d tokens the logits differ", bits, n)
			}
		}
		if got := feed(from, ids[50:]); !slices.Equal(got, want) {
			t.Errorf("KV %d bits: the sequence that was copied from has changed", bits)
		}
	}
}
