package scheduler

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/testmodel"
)

// circle lets tokens be drawn that come again and again, with a choice at every third.
type circle struct{ left int }

func (c *circle) may(id int) bool {
	first := 40 + c.left%5*2
	return id == first || id == first+1 && c.left%3 == 0
}

func (c *circle) Apply(logits []float32) error {
	for i := range logits {
		if !c.may(i) {
			logits[i] = float32(math.Inf(-1))
		}
	}
	return nil
}

func (c *circle) Accept(id int) error {
	if !c.may(id) {
		return errors.New("a token that is not allowed")
	}
	c.left--
	return nil
}

func (c *circle) Done() bool { return c.left == 0 }

// TestGuessesChangeNothing: with guesses in every round, from the text itself, from a draft model
// that is the model, from one in other bits and from one that knows nothing and has a quarter of
// the context, the same tokens are drawn, with the same log-probabilities to the bit, greedily and
// at random, with penalties, limits and stops, alone and among others, and what is kept is what it
// is without.
func TestGuessesChangeNothing(t *testing.T) {
	stranger := testmodel.Options{Context: context256 / 4, Layers: 1, Seed: 4}
	for _, bits := range []string{"", "4-8-8"} {
		m := open(t, bits)
		drafts := []*engine.Model{nil, open(t, bits), open(t, "4-8-4"), openOf(t, stranger, "")}
		ask := func(i int) Request {
			r := request(i)
			r.MaxTokens = 60
			switch i % 4 {
			case 0:
				r.Sampling.Temperature = 0
			case 1:
				r.Sampling.Temperature, r.Sampling.TopK = 1, 2
			case 2:
				r.Constraint = &circle{20 + 3*i}
			}
			if i%5 == 0 {
				r.Ends = func(id int) bool { return id%7 == 0 }
			}
			if i == 3 {
				r.MaxTokens = 0 // until the context is full
			}
			return r
		}
		const n = 12
		want := make([]string, n)
		plain := start(t, m, Options{Slots: 1, Keep: -1, NoGuesses: true})
		for i := range n {
			var err error
			if want[i], _, err = text(t.Context(), plain, ask(i)); err != nil {
				t.Fatal(err)
			}
		}
		if st := plain.Stats(); st.Guessed != 0 {
			t.Errorf("%d guesses without guessing", st.Guessed)
		}
		plain.Close()
		for k, o := range []Options{{Slots: 1, Keep: -1, forced: 7}, {Slots: 5, Keep: 2, Piece: 20, forced: 3}, {},
			{Slots: 1, Keep: -1, forced: 7}, {Slots: 5, Keep: 2, Piece: 20, forced: 3}, {},
			{Slots: 1, Keep: -1, forced: 7}, {Slots: 5, Keep: 2, Piece: 20, forced: 3},
			{Slots: 1, Keep: -1, forced: 7}, {Slots: 5, Keep: 2, Piece: 20, forced: 3}} {
			if bits == "" && k > 5 { // one draft model is enough for what the bits could change
				break
			}
			o.Draft = drafts[k/3]
			o.Failed = func(err error) { t.Errorf("draft %d: %v", k/3, err) }
			s := New(m, o)
			for range 2 { // the second time with what is kept of the first
				var wait sync.WaitGroup
				for i := range n {
					wait.Go(func() {
						if got, _, err := text(t.Context(), s, ask(i)); err != nil || got != want[i] {
							t.Errorf("%+v: request %d: error %v\n%s\nexpected\n%s", o, i, err, got, want[i])
						}
					})
				}
				wait.Wait()
			}
			st := s.Stats()
			if o.forced > 0 && (st.Guessed == 0 || st.Right == 0 || st.Right > st.Guessed || (st.Drafted > 0) != (o.Draft != nil) || st.DraftedRight > st.Drafted) {
				t.Errorf("draft %d, %d slots: %+v", k/3, o.Slots, st)
			}
			if limit := CacheLimit(m, o); st.CacheBytes > limit {
				t.Errorf("draft %d: caches of %d bytes, the limit is %d", k/3, st.CacheBytes, limit)
			}
			s.Close()
		}
	}
}

// TestDraftDrawsLikeTheModel: a draft model that is the model itself is always right, greedily and
// at random, with penalties and reused caches, because it draws with the text's own random
// numbers.
func TestDraftDrawsLikeTheModel(t *testing.T) {
	m := open(t, "4-8-8")
	s := start(t, m, Options{Slots: 2, Keep: 2, Draft: open(t, "4-8-8"), forced: 5, Failed: func(err error) { t.Error(err) }})
	var wait sync.WaitGroup
	for i := range 12 {
		wait.Go(func() {
			r := request(i % 8)
			if i%2 == 0 {
				r.Sampling.Temperature = 0
			}
			if _, err := s.Do(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if st := s.Stats(); st.Drafted < 100 || float64(st.DraftedRight) < 0.95*float64(st.Drafted) {
		t.Errorf("of %d tokens that the model itself guessed %d were right", st.Drafted, st.DraftedRight)
	}
}

// TestCanceledFreesItsDraft: texts that are given up leave nothing in the draft model's caches,
// which have room for one text.
func TestCanceledFreesItsDraft(t *testing.T) {
	m := open(t, "")
	s := start(t, m, Options{Slots: 1, Keep: -1, Draft: open(t, ""), forced: 4, Failed: func(err error) { t.Error(err) }})
	for i := range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		r, n := request(i), 0
		r.MaxTokens = 0
		r.Emit = func(Token) bool {
			if n++; n == 100 {
				cancel()
			}
			return true
		}
		if _, err := s.Do(ctx, r); !errors.Is(err, context.Canceled) {
			t.Fatalf("canceled after %d tokens: error %v", n, err)
		}
	}
	before := s.Stats().Drafted
	if _, err := s.Do(t.Context(), request(11)); err != nil || s.Stats().Drafted == before {
		t.Errorf("after ten that were given up: error %v, %d tokens drafted before and %d after", err, before, s.Stats().Drafted)
	}
}
