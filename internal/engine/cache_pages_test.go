package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// fed gives a function that feeds tokens to a sequence of a small model and returns the
// last token's logits.
func fed(t *testing.T, kv int) (*Model, func(s *Sequence, ids []int) []float32) {
	t.Helper()
	long := small
	long.MaxPositions = 256
	m, err := NewRandom(long, artefact.Quantization{Bits: quant.Bits{Weights: 4, Activations: 8, KV: kv}, Head: 8}, Random{Keep: func(llama.Input, int, int) int { return 0 }}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return m, func(s *Sequence, ids []int) (out []float32) {
		t.Helper()
		if err := m.Forward(t.Context(), []Step{{Seq: s, IDs: ids, Want: WantLast}}, func(_, _ int, l []float32) error {
			out = slices.Clone(l)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func someIDs(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i * 37 % 100
	}
	return ids
}

// held are the pages of a sequence's first n tokens.
func (s *Sequence) held(n int) (pages []*Page) {
	for i := range (n + PageTokens - 1) / PageTokens {
		pages = append(pages, s.Page(i))
	}
	return pages
}

// TestShare: a sequence that shares the beginning of another goes on as if it had computed
// it, to the bit, whatever its pages held before and whichever of the two goes on first;
// and the other one as if it had not been shared. Pages are copied only where they must be.
func TestShare(t *testing.T) {
	for _, bits := range []int{4, 8, 16} {
		m, feed := fed(t, bits)
		ids := someIDs(200)
		want := feed(m.NewSequence(), ids)
		memory := m.NewPages(20)
		from := memory.NewSequence()
		feed(from, ids[:150])
		for i, n := range []int{1, 15, 16, 17, 63, 64, 65, 128, 150} {
			to := memory.NewSequence()
			feed(to, ids[20:60]) // something else
			to.Release()
			to.Share(from.held(n), n)
			if to.Tokens() != n {
				t.Fatalf("%d tokens after sharing %d", to.Tokens(), n)
			}
			if i%2 == 0 {
				from.Truncate(150)
				if got := feed(from, ids[150:]); !slices.Equal(got, want) {
					t.Errorf("KV %d bits: the sequence that %d tokens are shared of has changed", bits, n)
				}
			}
			if got := feed(to, ids[n:]); !slices.Equal(got, want) {
				t.Errorf("KV %d bits: after %d shared tokens the logits differ", bits, n)
			}
			if to.Page(0) != from.Page(0) && n >= PageTokens {
				t.Errorf("KV %d bits: %d shared tokens have a copy of the first page", bits, n)
			}
			to.Release()
		}
		from.Truncate(150)
		if got := feed(from, ids[150:]); !slices.Equal(got, want) {
			t.Errorf("KV %d bits: the sequence that was shared of has changed", bits)
		}
		from.Release()
		if len(memory.free) != memory.made || memory.made > 9 {
			t.Errorf("%d of %d pages are free in the end", len(memory.free), memory.made)
		}
	}
}

// TestPagesAreBounded: pages are taken within the limit, evicted where somebody knows
// some, and an error says that there are none; what was under way goes on afterwards.
func TestPagesAreBounded(t *testing.T) {
	m, feed := fed(t, 8)
	ids := someIDs(3 * PageTokens)
	memory := m.NewPages(3)
	a, b := memory.NewSequence(), memory.NewSequence()
	feed(a, ids[:2*PageTokens])
	feed(b, ids[:PageTokens])
	none := func(int, int, []float32) error { return nil }
	var full *PagesError
	if err := m.Forward(t.Context(), []Step{{Seq: b, IDs: ids[:1]}}, none); !errors.As(err, &full) || b.Tokens() != PageTokens {
		t.Fatalf("a page too many: error %v, %d tokens", err, b.Tokens())
	}
	held := a.held(2 * PageTokens)
	for _, p := range held {
		p.Hold()
	}
	a.Release()
	memory.Evict = func() bool {
		if len(held) == 0 {
			return false
		}
		memory.Drop(held[len(held)-1])
		held = held[:len(held)-1]
		return true
	}
	want := feed(m.NewSequence(), ids)
	if got := feed(b, ids[PageTokens:]); !slices.Equal(got, want) || len(held) != 0 {
		t.Errorf("after two pages were evicted (%d left): other logits", len(held))
	}
	if got := memory.Bytes(); got != 3*m.PageBytes() {
		t.Errorf("%d bytes, expected %d", got, 3*m.PageBytes())
	}
}
