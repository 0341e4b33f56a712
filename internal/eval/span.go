package eval

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/plural"
)

// Span is a text of which a part is predicted: every token from From on, each from all
// tokens before it. 1 ≤ From < len(IDs). The model reads all but the last token.
type Span struct {
	IDs  []int
	From int
}

// Scored is the number of predicted tokens.
func (s Span) Scored() int { return len(s.IDs) - s.From }

func (s Span) check(m *engine.Model) error {
	if s.From < 1 || s.From >= len(s.IDs) {
		return fmt.Errorf("a span of %s scored from token %d: expected at least one token before the first scored one", plural.Of(len(s.IDs), "token"), s.From)
	}
	if n := len(s.IDs) - 1; n > m.Context {
		return &engine.ContextError{Tokens: n, Context: m.Context}
	}
	return nil
}

// Prediction is how likely a token is according to a model.
type Prediction struct {
	NLL float64 // −log p, in nats
	Top bool    // no token is more likely
}

// Runner runs spans through a model. The common prefix of the spans of a group is computed
// once, and several groups are run together. Neither changes a result, because the engine's
// rows do not depend on the rest of the batch.
type Runner struct {
	Model *engine.Model
	// BatchTokens is roughly how many tokens the model's cache holds at a time; 0: 2048.
	BatchTokens int

	idle []*engine.Sequence
}

const defaultBatchTokens = 2048

// pass is one call of a sequence: how much of its cache is kept, what is appended, and for
// which tokens logits are returned.
type pass struct {
	span int // -1: all spans of the group
	keep int
	ids  []int
	want engine.Want
}

// plan divides a group into passes.
func plan(group []Span) []pass {
	first := group[0]
	shared, from := len(first.IDs)-1, first.From
	for _, s := range group[1:] {
		shared, from = min(shared, common(first.IDs, s.IDs), len(s.IDs)-1), min(from, s.From)
	}
	var out []pass
	// The logits of a token predict the next one: those of from-1 are the first that are
	// needed.
	quiet := min(shared, from-1)
	switch {
	case shared == from:
		out = append(out, pass{-1, 0, first.IDs[:shared], engine.WantLast})
	default:
		if quiet > 0 {
			out = append(out, pass{-1, 0, first.IDs[:quiet], engine.WantNone})
		}
		if shared > quiet {
			out = append(out, pass{-1, quiet, first.IDs[quiet:shared], engine.WantAll})
		}
	}
	for i, s := range group {
		if rest := s.IDs[shared : len(s.IDs)-1]; len(rest) > 0 {
			out = append(out, pass{i, shared, rest, engine.WantAll})
		}
	}
	return out
}

// common is the length of the common prefix of a and b.
func common(a, b []int) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Run calls visit with the logits that predict token t of a span of a group, for all
// predicted tokens; those of one span come in order. The logits are valid until visit
// returns.
func (r *Runner) Run(ctx context.Context, groups [][]Span, visit func(group, span, t int, logits []float32)) error {
	for _, g := range groups {
		if len(g) == 0 {
			return fmt.Errorf("a group without a span: expected at least one")
		}
		for _, s := range g {
			if err := s.check(r.Model); err != nil {
				return err
			}
		}
	}
	limit := r.BatchTokens
	if limit <= 0 {
		limit = defaultBatchTokens
	}
	for first := 0; first < len(groups); {
		end, tokens := first, 0
		for end < len(groups) {
			most := 0
			for _, s := range groups[end] {
				most = max(most, len(s.IDs))
			}
			if tokens += most; end > first && tokens > limit {
				break
			}
			end++
		}
		if err := r.batch(ctx, groups[first:end], func(g, s, t int, logits []float32) { visit(first+g, s, t, logits) }); err != nil {
			return err
		}
		first = end
	}
	return nil
}

func (r *Runner) batch(ctx context.Context, groups [][]Span, visit func(group, span, t int, logits []float32)) error {
	for len(r.idle) < len(groups) {
		r.idle = append(r.idle, r.Model.NewSequence())
	}
	passes := make([][]pass, len(groups))
	for i, g := range groups {
		passes[i] = plan(g)
		r.idle[i].Truncate(0)
	}
	var steps []engine.Step
	var whose []int // group of each step
	for round := 0; ; round++ {
		steps, whose = steps[:0], whose[:0]
		for i, p := range passes {
			if round < len(p) {
				r.idle[i].Truncate(p[round].keep)
				steps = append(steps, engine.Step{Seq: r.idle[i], IDs: p[round].ids, Want: p[round].want})
				whose = append(whose, i)
			}
		}
		if len(steps) == 0 {
			return nil
		}
		err := r.Model.Forward(ctx, steps, func(step, token int, logits []float32) error {
			g := whose[step]
			p := passes[g][round]
			t := p.keep + token + 1 // the token that these logits predict
			for i, s := range groups[g] {
				if (p.span < 0 || p.span == i) && t >= s.From && t < len(s.IDs) {
					visit(g, i, t, logits)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// Predict scores spans: it returns a prediction for each predicted token, by group and
// span.
func (r *Runner) Predict(ctx context.Context, groups [][]Span) ([][][]Prediction, error) {
	out := make([][][]Prediction, len(groups))
	for i, g := range groups {
		out[i] = make([][]Prediction, len(g))
		for j, s := range g {
			if n := s.Scored(); n > 0 {
				out[i][j] = make([]Prediction, n)
			}
		}
	}
	err := r.Run(ctx, groups, func(g, s, t int, logits []float32) {
		span := groups[g][s]
		id := span.IDs[t]
		out[g][s][t-span.From] = Prediction{NLL: NLL(logits, id), Top: argmax(logits) == id}
	})
	return out, err
}
