package eval

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/plural"
)

// Windows divides ids into windows of n tokens that do not overlap, dropping the rest, as
// in the GPTQ protocol. A text shorter than one window makes one shorter window.
func Windows(ids []int, n int) ([][]int, error) {
	if len(ids) < 2 {
		return nil, fmt.Errorf("the text has %s, expected at least 2", plural.Of(len(ids), "token"))
	}
	if n < 2 {
		return nil, fmt.Errorf("windows of %s, expected at least 2", plural.Of(n, "token"))
	}
	n = min(n, len(ids))
	out := make([][]int, 0, len(ids)/n)
	for ; len(ids) >= n; ids = ids[n:] {
		out = append(out, ids[:n])
	}
	return out, nil
}

// batchLogits is the largest size of a reference's logits held at a time, in bytes.
const batchLogits = 64 << 20

// NLLs scores parts of a text and returns the negative log-likelihoods of each. progress is
// called with the number of tokens scored so far; it may be nil.
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

// Compare runs two models over the same windows and compares their predictions at every
// position.
func Compare(ctx context.Context, ref, m *engine.Model, windows [][]int, progress func(tokens int)) ([]Token, error) {
	out, err := CompareAll(ctx, ref, []*engine.Model{m}, windows, progress)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// CompareAll is [Compare] for several models with one reference, whose predictions are
// computed only once. progress is called with the number of tokens that all models have
// finished; it may be nil.
func CompareAll(ctx context.Context, ref *engine.Model, models []*engine.Model, windows [][]int, progress func(tokens int)) ([][]Token, error) {
	vocab := ref.Config.VocabSize
	for _, m := range models {
		if m.Config.VocabSize != vocab {
			return nil, fmt.Errorf("the models have vocabularies of %d and %s and can't be compared", vocab, plural.Of(m.Config.VocabSize, "token"))
		}
	}
	piece := max(1, batchLogits/4/vocab)
	var held, got []float32
	out := make([][]Token, len(models))
	seqs := make([]*engine.Sequence, len(models))
	for i, w := range windows {
		a := ref.NewSequence()
		for k, m := range models {
			seqs[k] = m.NewSequence()
		}
		for first := 0; first < len(w)-1; first += piece {
			part := w[first:min(first+piece, len(w)-1)] // the last token predicts nothing in this window
			var err error
			if held, err = predictions(ctx, ref, a, part, held); err != nil {
				return nil, err
			}
			for k, m := range models {
				if got, err = predictions(ctx, m, seqs[k], part, got); err != nil {
					return nil, err
				}
				tokens := make([]Token, len(part))
				m.Pool().Run(len(part), func(t int) {
					next := first + t + 1
					tokens[t] = CompareLogits(held[t*vocab:][:vocab], got[t*vocab:][:vocab], w[next])
					tokens[t].Window, tokens[t].At = i, next
				})
				out[k] = append(out[k], tokens...)
			}
		}
		if progress != nil && len(models) > 0 {
			progress(len(out[0]))
		}
	}
	return out, nil
}

// predictions appends ids to a sequence and returns the logits at each of them, [len(ids) ×
// vocab], in buf if it is long enough.
func predictions(ctx context.Context, m *engine.Model, seq *engine.Sequence, ids []int, buf []float32) ([]float32, error) {
	vocab := m.Config.VocabSize
	if n := len(ids) * vocab; cap(buf) < n {
		buf = make([]float32, n)
	} else {
		buf = buf[:n]
	}
	err := m.Forward(ctx, []engine.Step{{Seq: seq, IDs: ids, Want: engine.WantAll}}, func(_, t int, logits []float32) error {
		copy(buf[t*vocab:], logits)
		return nil
	})
	return buf, err
}
