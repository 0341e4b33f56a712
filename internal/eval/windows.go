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
	if n < 2 {
		return nil, fmt.Errorf("windows of %d tokens, expected at least 2", n)
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

// NLLs scores parts of a text, giving the negative log-likelihoods of each.
// progress is told the tokens scored so far; it may be nil.
func NLLs(ctx context.Context, r *Runner, parts []Part, progress func(tokens int)) ([][]float64, error) {
	out := make([][]float64, len(parts))
	groups := make([][]Span, len(parts))
	for i, p := range parts {
		groups[i] = []Span{p.Span}
		out[i] = make([]float64, 0, max(p.Scored(), 0))
	}
	scored, told := 0, 0
	err := r.Run(ctx, groups, func(g, _, t int, logits []float32) {
		out[g] = append(out[g], NLL(logits, groups[g][0].IDs[t]))
		if scored++; progress != nil && scored-told >= 64 {
			told = scored
			progress(scored)
		}
	})
	if err == nil && progress != nil {
		progress(scored)
	}
	return out, err
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
	for i, w := range windows {
		a, b := ref.NewSequence(), m.NewSequence()
		for first := 0; first < len(w)-1; first += piece {
			part := w[first:min(first+piece, len(w)-1)] // the last token predicts nothing here
			held = append(held[:0], make([]float32, len(part)*vocab)...)
			err := ref.Forward(ctx, []engine.Step{{Seq: a, IDs: part, Want: engine.WantAll}}, func(_, t int, logits []float32) error {
				copy(held[t*vocab:], logits)
				return nil
			})
			if err != nil {
				return nil, err
			}
			err = m.Forward(ctx, []engine.Step{{Seq: b, IDs: part, Want: engine.WantAll}}, func(_, t int, logits []float32) error {
				next := first + t + 1
				c := CompareLogits(held[t*vocab:][:vocab], logits, w[next])
				c.Window, c.At = i, next
				out = append(out, c)
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
