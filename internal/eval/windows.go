package eval

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/engine"
)

// Windows cuts ids into windows of n tokens that do not overlap, dropping the
// rest: the GPTQ protocol. Text shorter than one window makes one shorter
// window.
func Windows(ids []int, n int) ([][]int, error) {
	if len(ids) < 2 {
		return nil, fmt.Errorf("the text has %d tokens, expected at least 2", len(ids))
	}
	n = min(n, len(ids))
	out := make([][]int, 0, len(ids)/n)
	for ; len(ids) >= n; ids = ids[n:] {
		out = append(out, ids[:n])
	}
	return out, nil
}

// batchLogits bounds the logits of a reference that are held at once, in bytes.
const batchLogits = 64 << 20

// Perplexity is exp of the mean negative log-likelihood of each window's
// tokens but the first, every window starting an empty context. progress is
// told the tokens scored so far; it may be nil.
func Perplexity(ctx context.Context, m *engine.Model, windows [][]int, progress func(tokens int)) (Estimate, error) {
	var nll []float64
	for _, w := range windows {
		err := m.Forward(ctx, []engine.Step{{Seq: m.NewSequence(), IDs: w, Want: engine.WantAll}},
			func(_, t int, logits []float32) error {
				if t+1 < len(w) {
					nll = append(nll, NLL(logits, w[t+1]))
				}
				return nil
			})
		if err != nil {
			return Estimate{}, err
		}
		if progress != nil {
			progress(len(nll))
		}
	}
	return perplexity(nll), nil
}

// Compare runs two models over the same windows, a piece at a time, and
// compares their predictions at every position.
func Compare(ctx context.Context, ref, m *engine.Model, windows [][]int, progress func(tokens int)) ([]Token, error) {
	vocab := ref.Config.VocabSize
	if m.Config.VocabSize != vocab {
		return nil, fmt.Errorf("the models have vocabularies of %d and %d tokens and can't be compared", vocab, m.Config.VocabSize)
	}
	piece := max(1, batchLogits/4/vocab)
	var held []float32
	var out []Token
	for _, w := range windows {
		a, b := ref.NewSequence(), m.NewSequence()
		for first := 0; first < len(w); first += piece {
			part := w[first:min(first+piece, len(w))]
			held = append(held[:0], make([]float32, len(part)*vocab)...)
			err := ref.Forward(ctx, []engine.Step{{Seq: a, IDs: part, Want: engine.WantAll}}, func(_, t int, logits []float32) error {
				copy(held[t*vocab:], logits)
				return nil
			})
			if err != nil {
				return nil, err
			}
			err = m.Forward(ctx, []engine.Step{{Seq: b, IDs: part, Want: engine.WantAll}}, func(_, t int, logits []float32) error {
				if next := first + t + 1; next < len(w) {
					out = append(out, CompareLogits(held[t*vocab:][:vocab], logits, w[next]))
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		if progress != nil {
			progress(len(out))
		}
	}
	return out, nil
}
