package speculate

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/specquant/specquant/internal/engine"
)

// A draft model (Leviathan et al., 2023; Chen et al., 2023) is a smaller model with the same
// vocabulary. It draws each guess as the text's own sampler would, with the same random
// numbers: where the two models agree about the probabilities, they mostly draw the same.

const (
	maxLag = 16  // tokens that a step of the draft model may compute before the one that it guesses from
	piece  = 128 // tokens of a longer beginning that it computes in one round
	near   = 0.1 // how much worse than the draft model's guesses those of prompt lookup may be, which cost nothing

	// Where the draft model does not pay it is not used, and its record goes back to what is hoped
	// over so many rounds, so that it is tried again.
	textForgets, allForget = 256, 2048
)

// draft lets the draft model guess for texts where that pays. It reports whether it has.
func (g *Guesser) draft(texts []*Text) bool {
	var able []*Text
	for _, t := range texts {
		t.drafts = g.able(t)
		t.chances = t.chances[:0]
		n, chance := len(t.found), 0.0
		switch {
		case t.drafts:
			n, chance = g.room(t), t.hits[average]
			able = append(able, t)
		case n > 0:
			chance = t.hits[t.found[0].kind]
		}
		for range n {
			t.chances = append(t.chances, chance)
		}
	}
	if len(able) == 0 {
		return false
	}
	if g.Forced > 0 {
		ready := able[:0]
		for _, t := range able {
			if g.caughtUp(t) {
				ready = append(ready, t)
			}
		}
		return g.steps(ready, func(t *Text) bool { return len(t.guesses) < g.Forced })
	}
	plain := g.whole.cost(len(texts)) / float64(len(texts)) // seconds a token without guesses
	speed, rows := g.spread(texts, gain)
	var ready []*Text
	for _, t := range able {
		switch saved := plain - 1/speed; {
		case t.chosen == 0 || t.lag > maxLag && float64(t.lag)*g.prefillCost() > saved*float64(min(t.Most, 64+t.all)):
			t.hits.drift(g.typical, textForgets)
		case g.caughtUp(t):
			ready = append(ready, t)
		}
	}
	if len(ready) == 0 {
		g.typical.drift(hope(), allForget)
		return false
	}
	row := (g.whole.cost(rows) - g.whole.cost(len(texts))) / float64(max(1, rows-len(texts)))
	share := g.step(len(ready))/float64(len(ready)) + row
	return g.steps(ready, func(t *Text) bool { return t.chance*t.hits[average] > share*speed })
}

// able reports whether the draft model can guess for a text, and should if that pays.
func (g *Guesser) able(t *Text) bool {
	if t.Draft == nil || g.room(t) <= 0 {
		return false
	}
	if len(t.found) > 0 && t.hits[t.found[0].kind] >= t.hits[average]-near {
		return false
	}
	t.lag = len(t.Tokens) - t.Draft.Tokens()
	for _, id := range t.Tokens[t.Draft.Tokens():] {
		if id >= g.vocab {
			return false
		}
	}
	return t.Next < g.vocab
}

// room is the most guesses that a draft model's context and the text have room for.
func (g *Guesser) room(t *Text) int {
	return min(maxGuess, t.Most, g.Draft.Context-len(t.Tokens)-1)
}

// step is about how long a step of the draft model takes.
func (g *Guesser) step(rows int) float64 {
	if c := g.small.cost(rows); c > 0 || rows == 0 {
		return c
	}
	return g.ratio * g.whole.cost(1) * (1 + rowCost*float64(rows-1))
}

// prefillCost is about how long the draft model takes for a token of a long beginning.
func (g *Guesser) prefillCost() float64 {
	if c := g.prefill.cost(1); c > 0 {
		return c
	}
	return g.step(1) / 4
}

// caughtUp lets the draft model compute a piece of a text that it has not computed yet, and
// reports whether it can guess now.
func (g *Guesser) caughtUp(t *Text) bool {
	if t.lag <= maxLag {
		return true
	}
	n := min(piece, t.lag)
	start := time.Now()
	if !g.forward([]engine.Step{{Seq: t.Draft, IDs: t.Tokens[t.Draft.Tokens():][:n]}}, nil) {
		return false
	}
	if g.warm && n > maxLag {
		g.prefill.measured(1, time.Since(start)/time.Duration(n))
	}
	t.lag -= n
	return t.lag <= maxLag
}

// steps lets the draft model guess token by token, for each text as long as another one is
// worth it. It reports whether there are guesses.
func (g *Guesser) steps(texts []*Text, worth func(*Text) bool) bool {
	for _, t := range texts {
		t.fork.Follow(t.Sampler)
		t.chance = 1
		t.feed = append(append(t.feed[:0], t.Tokens[t.Draft.Tokens():]...), t.Next)
		t.guesses = nil
	}
	var steps []engine.Step
	for going := texts; len(going) > 0; {
		start, rows := time.Now(), 0
		steps = steps[:0]
		for _, t := range going {
			steps = append(steps, engine.Step{Seq: t.Draft, IDs: t.feed, Want: engine.WantLast})
			rows += len(t.feed)
		}
		if !g.forward(steps, going) {
			break
		}
		more := g.draw(going)
		if g.warm { // the first time, its weights were read
			g.small.measured(rows, time.Since(start))
		}
		g.warm = true
		going = nil
		for _, t := range more {
			if t != nil && len(t.guesses) < g.room(t) && worth(t) {
				going = append(going, t)
			}
		}
	}
	any := false
	for _, t := range texts {
		if len(t.guesses) == 0 {
			t.guesses = t.found
		} else {
			any = any || t.guesses[0].kind >= draft
		}
	}
	return any
}

// draw draws the guess of each text from its logits, and prepares the next step. Texts that a
// guess ends are nil in what it returns.
func (g *Guesser) draw(texts []*Text) []*Text {
	more := make([]*Text, len(texts))
	var wait sync.WaitGroup
	for i, t := range texts {
		wait.Go(func() {
			id, kind := t.draftNext()
			if t.Ends != nil && t.Ends(id) { // which is no part of the text
				return
			}
			t.guesses = append(t.guesses, guess{id, kind})
			t.chance *= t.hits[kind]
			t.feed = append(t.feed[:0], id)
			more[i] = t
		})
	}
	wait.Wait()
	return more
}

// draftNext draws a token from the draft model's logits, and tells its kind.
func (t *Text) draftNext() (id, kind int) {
	id = t.fork.Next(t.logits)
	other := float32(math.Inf(-1))
	for i, v := range t.logits {
		if v > other && i != id {
			other = v
		}
	}
	return id, kindOfDraft(t.logits[id] - other)
}

// forward lets the draft model compute. The logits of step i belong to texts[i].
func (g *Guesser) forward(steps []engine.Step, texts []*Text) bool {
	if g.broken {
		return false
	}
	err := g.Draft.Forward(context.Background(), steps, func(i, _ int, logits []float32) error {
		texts[i].logits = append(texts[i].logits[:0], logits[:g.vocab]...)
		return nil
	})
	if err != nil {
		g.broken = true
		if g.Failed != nil {
			g.Failed(fmt.Errorf("the draft model: %w", err))
		}
	}
	return err == nil
}
