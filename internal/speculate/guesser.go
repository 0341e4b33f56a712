// Package speculate guesses what a text goes on with. Its next token is computed together with
// the guesses, which costs less than computing one after the other, because the weights are
// read once. Tokens are drawn from the logits of each as ever, and the first that is not what
// was guessed ends it: the guesses behind it are forgotten. So what is drawn is the same as
// without, to the bit, and only the time depends on the guesses.
//
// Guesses come from the text itself (lookup.go) or from a smaller model with the same
// vocabulary (draft.go). How many are computed follows from how long rounds were measured to
// take (timing.go) and from how often such guesses have been right (text.go).
package speculate

import (
	"time"

	"github.com/specquant/specquant/internal/engine"
)

// Options say how guesses are made. The zero value is prompt lookup alone.
type Options struct {
	Off    bool          // none are made
	Draft  *engine.Model // the draft model; nil: none. Only the Guesser may use it
	Forced int           // guesses of each text in each round, for tests; 0: as many as pay
	// Failed is called when the draft model could not compute; it is not used again. nil: nothing.
	Failed func(error)
}

// Guesser guesses for the texts of a model. It may be used by one goroutine at a time.
type Guesser struct {
	Options
	vocab   int     // tokens that both models have
	ratio   float64 // what a step of the draft model is taken to cost, as a share of the model's, until it has been measured
	whole   timing  // of the model's rounds
	small   timing  // of the draft model's steps
	prefill timing  // of a token of a long beginning that the draft model computes, as one row
	warm    bool    // the draft model has computed a step: its weights are in memory
	typical record  // of all texts
	broken  bool    // the draft model has failed
}

// gain is what guesses must bring at least, as a factor of the speed.
const gain = 1.1

// New makes a guesser for a model.
func New(m *engine.Model, o Options) *Guesser {
	g := &Guesser{Options: o, typical: hope()}
	if d := o.Draft; d != nil {
		g.vocab = min(m.Config.VocabSize, d.Config.VocabSize)
		g.ratio = min(1, float64(d.Checkpoint.Bytes())/float64(max(m.Checkpoint.Bytes(), 1)))
	}
	return g
}

// Measured takes in how long a round of nothing but next tokens and guesses took.
func (g *Guesser) Measured(rows int, took time.Duration) {
	g.whole.measured(rows, took)
	g.small.rounds, g.prefill.rounds = g.whole.rounds, g.whole.rounds // what is not used is forgotten, and tried again
}

// Look makes the guesses of texts that are to draw, and chooses how many of each text's are
// computed with its next token ([Text.Chosen]). In a busy round, which computes prompts too and
// of which no time is known, that is none.
func (g *Guesser) Look(texts []*Text, busy bool) {
	for _, t := range texts {
		g.begin(t)
	}
	if g.Off || busy {
		return
	}
	drafted := g.Draft != nil && !g.broken && g.draft(texts)
	g.choose(texts, drafted)
}

// begin takes in what became of a text's last guesses, and looks for new ones in the text.
func (g *Guesser) begin(t *Text) {
	if !t.begun {
		t.hits, t.begun = g.typical, true
		t.hits[0], t.hits[1], t.hits[2] = hope()[0], hope()[1], hope()[2] // which differ much between texts
	}
	for _, o := range t.outcomes {
		if o.kind >= draft {
			g.typical.note(o.kind, o.right, 32)
			g.typical.note(average, o.right, 32)
		}
	}
	t.outcomes, t.found, t.guesses, t.chosen, t.drawn, t.right = t.outcomes[:0], t.found[:0], nil, 0, 0, 0
	if t.Draft != nil {
		t.Draft.Truncate(len(t.Tokens)) // the guesses behind that were wrong
	}
	if g.Off {
		return
	}
	tokens, repeat := lookup(t.Tokens, t.Next, min(maxGuess, t.Most))
	for _, id := range tokens {
		t.found = append(t.found, guess{id, kindOfLookup(repeat)})
	}
	t.guesses = t.found
}

// choose gives each text as many of its guesses as pay.
func (g *Guesser) choose(texts []*Text, drafted bool) {
	if g.Forced > 0 {
		for _, t := range texts {
			t.chosen = min(g.Forced, len(t.guesses))
		}
		return
	}
	for _, t := range texts {
		t.drafts, t.chances = false, t.chances[:0]
		for _, u := range t.guesses {
			t.chances = append(t.chances, t.hits[u.kind])
		}
	}
	least := gain
	if drafted { // which has been paid
		least = 1
	}
	g.spread(texts, least)
}

// spread chooses the guesses that are likeliest to be right first, while a round gives more
// tokens for its time, if that is so much faster than without. It returns the best round's tokens
// a second and rows.
func (g *Guesser) spread(texts []*Text, least float64) (speed float64, rows int) {
	for _, t := range texts {
		t.chosen, t.chance = 0, 1
	}
	rows = len(texts)
	base := g.whole.cost(rows)
	if base == 0 || rows >= maxRows {
		return 0, rows
	}
	tokens, drafting, steps := float64(rows), 0.0, [maxGuess]int{}
	speed = tokens / base
	best, bestOrder := least*speed, 0
	var order []*Text
	for rows < maxRows {
		next, chance := likeliest(texts)
		if next == nil || chance < 0.02 {
			break
		}
		if next.drafts {
			step := &steps[next.chosen]
			drafting -= g.step(*step)
			*step++
			if next.chosen == 0 && next.lag <= maxLag {
				*step += next.lag
			}
			drafting += g.step(*step)
		}
		rows++
		tokens += chance
		next.chosen++
		next.chance = chance
		order = append(order, next)
		if s := tokens / (g.whole.cost(rows) + drafting); s > best {
			best, bestOrder, speed = s, len(order), s
		}
	}
	for _, t := range order[bestOrder:] {
		t.chosen--
	}
	return speed, len(texts) + bestOrder
}

// likeliest is the text whose next guess is likeliest to be right, and how likely; nil: there is
// no guess left.
func likeliest(texts []*Text) (next *Text, chance float64) {
	for _, t := range texts {
		if t.chosen == len(t.chances) {
			continue
		}
		if c := t.chance * t.chances[t.chosen]; next == nil || c > chance {
			next, chance = t, c
		}
	}
	return next, chance
}
