package speculate

import (
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
)

// Text is a text in progress. The caller sets the exported fields before [Guesser.Look].
type Text struct {
	Tokens  []int // that the model has computed
	Next    int   // what has been drawn behind them and is computed next
	Most    int   // guesses that there is room for, behind Next
	Sampler *sampler.Sampler
	Ends    func(id int) bool // reports whether a token ends the text; nil: none does
	// Draft is the text's sequence of the draft model, for the guesses of which it is used.
	// It holds a beginning of Tokens, and after Look also Next and guesses. nil: none.
	Draft *engine.Sequence

	hits     record
	begun    bool    // hits are set
	found    []guess // by prompt lookup
	guesses  []guess // what may come behind Next
	chosen   int     // how many of them are computed with it
	drawn    int     // tokens since Look
	right    int     // guesses that were computed and drawn since Look
	all      int     // tokens in all
	outcomes []outcome

	// Of choosing:
	chances []float64 // that each guess is right if those before it are
	drafts  bool      // each of them costs a step of the draft model
	chance  float64   // that all that are chosen are right
	lag     int       // tokens that the draft model has not computed yet

	// Of drafting:
	fork   sampler.Sampler
	feed   []int
	logits []float32
}

// guess is a token that may come next, and how it was found.
type guess struct{ id, kind int }

// outcome is whether a guess was right.
type outcome struct {
	kind  int
	right bool
}

// Chosen appends the guesses that are to be computed behind Next.
func (t *Text) Chosen(to []int) []int {
	for _, g := range t.guesses[:t.chosen] {
		to = append(to, g.id)
	}
	return to
}

// Drawn takes in the next token that was drawn since Look. It says whether that is a guess that
// was computed, so that the logits behind the guess are the text's.
func (t *Text) Drawn(id int) bool {
	i := t.drawn
	t.drawn++
	t.all++
	if i == 0 && len(t.found) > 0 && t.guesses[0].kind >= draft {
		t.note(t.found[0], id) // it was not chosen, and may be the next time
	}
	if i >= len(t.guesses) {
		return false
	}
	t.note(t.guesses[i], id)
	if i >= t.chosen || t.guesses[i].id != id {
		return false
	}
	t.right++
	return true
}

func (t *Text) note(g guess, id int) {
	right := g.id == id
	t.hits.note(g.kind, right, 6)
	if g.kind >= draft {
		t.hits.note(average, right, 6)
	}
	t.outcomes = append(t.outcomes, outcome{g.kind, right})
}

// Counts are what became of a round's guesses, or of those of many rounds.
type Counts struct {
	Guessed, Right        int64 // tokens that were computed ahead, and that were drawn then
	Drafted, DraftedRight int64 // tokens that the draft model guessed, and that were drawn then
}

// Add adds another's counts.
func (c *Counts) Add(o Counts) {
	c.Guessed, c.Right = c.Guessed+o.Guessed, c.Right+o.Right
	c.Drafted, c.DraftedRight = c.Drafted+o.Drafted, c.DraftedRight+o.DraftedRight
}

// Counts are those of the present round, after its tokens were drawn.
func (t *Text) Counts() Counts {
	c := Counts{Guessed: int64(t.chosen), Right: int64(t.right)}
	if len(t.guesses) > 0 && t.guesses[0].kind >= draft {
		c.Drafted, c.DraftedRight = int64(len(t.guesses)), c.Right
	}
	return c
}

// Wrong is how many tokens were computed that are no part of the text.
func (t *Text) Wrong() int { return t.chosen - t.right }

// Kinds of guesses, which tell how good one is: of prompt lookup by the length of what is the
// same before it, of the draft model by how far it prefers the token to any other; and all of the
// draft model's, of which the kind is not known beforehand.
const (
	draft   = 3 // the first kind of the draft model
	average = 7
	kinds   = 8
)

func kindOfLookup(repeat int) int {
	switch {
	case repeat <= 2:
		return 0
	case repeat <= 4:
		return 1
	}
	return 2
}

// kindOfDraft is the kind of a token whose logit is so far above those of all others.
func kindOfDraft(margin float32) int {
	switch {
	case margin < 0.5:
		return draft
	case margin < 1.5:
		return draft + 1
	case margin < 3:
		return draft + 2
	}
	return draft + 3
}

// record is how often guesses of each kind have been right, smoothed.
type record [kinds]float64

// hope is what is taken for the record of a text that is new to us. That of the draft model is
// high, so that it is tried.
func hope() record { return record{0.3, 0.5, 0.7, 0.4, 0.6, 0.8, 0.95, 0.8} }

// note takes in a guess; over is the number of guesses that count.
func (r *record) note(kind int, right bool, over float64) {
	v := 0.0
	if right {
		v = 1
	}
	r[kind] += (v - r[kind]) / over
}

// drift moves the draft model's rates toward others.
func (r *record) drift(to record, over float64) {
	for k := draft; k < kinds; k++ {
		r[k] += (to[k] - r[k]) / over
	}
}
