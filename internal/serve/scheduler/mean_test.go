package scheduler

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/specquant/specquant/internal/engine"
)

// TestMean: the mean of the hidden states is the one that the engine's own give, the same
// to the bit whatever the pieces and whatever else is under way, and it takes no kept
// conversation's place.
func TestMean(t *testing.T) {
	m := open(t, "4-8-8")
	prompt := request(4).Prompt
	want := make([]float64, m.Config.HiddenSize)
	err := m.Forward(t.Context(), []engine.Step{{Seq: m.NewSequence(), IDs: prompt, Want: engine.WantHidden}}, func(_, _ int, hidden []float32) error {
		for i, v := range hidden {
			want[i] += float64(v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i] /= float64(len(prompt))
	}
	for _, piece := range []int{1, 7, 512} {
		s := New(m, Options{Slots: 3, Keep: 2, Piece: piece})
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() { text(context.Background(), s, request(i)) })
			all.Go(func() {
				r, err := s.Do(context.Background(), Request{Prompt: prompt, Mean: true})
				if err != nil || !slices.Equal(r.Mean, want) || r.Tokens != 0 {
					t.Errorf("piece %d: error %v, %d tokens, mean %.4v; expected %.4v", piece, err, r.Tokens, r.Mean[:4], want[:4])
				}
			})
		}
		all.Wait()
		long := request(1)
		text(context.Background(), s, long)
		for range 8 {
			s.Do(context.Background(), Request{Prompt: prompt, Mean: true})
		}
		if _, r, _ := text(context.Background(), s, long); r.Cached < len(long.Prompt)-1 {
			t.Errorf("piece %d: %d tokens of %d are kept of a conversation after embeddings", piece, r.Cached, len(long.Prompt))
		}
		s.Close()
	}
	sum := 0.0
	for _, v := range want {
		sum += v * v
	}
	if !(math.Sqrt(sum) > 0.01) {
		t.Errorf("the mean is nearly nothing: %v", want)
	}
}
