package scheduler

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestGuess(t *testing.T) {
	for _, c := range []struct {
		text   []int
		next   int
		want   []int
		repeat int
	}{
		{[]int{1, 2, 3, 4, 5, 1, 2}, 3, []int{4, 5, 1}, 3},
		{[]int{1, 2, 3, 7, 2, 3, 8, 2}, 3, []int{8, 2, 3}, 2}, // the last place
		{[]int{9, 1, 2, 3, 7, 1, 2, 8, 9, 1}, 2, []int{3, 7, 1}, 3},
		{[]int{1, 2, 3, 4}, 5, nil, 0},
		{[]int{1, 2, 3}, 2, nil, 0},            // one token alone says nothing
		{[]int{5, 6, 5}, 6, []int{5, 6, 5}, 2}, // in a circle
		{[]int{7, 7, 7}, 7, []int{7, 7, 7}, 3}, // in the shortest
		{nil, 7, nil, 0},
	} {
		if got, repeat := guess(c.text, c.next, 3); !slices.Equal(got, c.want) || repeat != c.repeat {
			t.Errorf("%v, %d: guessed %v after %d, expected %v after %d", c.text, c.next, got, repeat, c.want, c.repeat)
		}
	}
	if got, _ := guess([]int{5, 6, 5}, 6, -1); got != nil {
		t.Errorf("no room: guessed %v", got)
	}
}

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

// TestGuessesChangeNothing: with guesses in every round the same tokens are drawn, with the
// same log-probabilities to the bit, greedily and at random, with penalties, limits and
// stops, alone and among others, and what is kept is what it is without.
func TestGuessesChangeNothing(t *testing.T) {
	for _, bits := range []string{"", "4-8-8"} {
		m := open(t, bits)
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
		for _, o := range []Options{{Slots: 1, Keep: -1, forced: 7}, {Slots: 5, Keep: 2, Piece: 20, forced: 3}, {}} {
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
			if st := s.Stats(); o.forced > 0 && (st.Guessed == 0 || st.Right == 0 || st.Right > st.Guessed) {
				t.Errorf("%+v: %d guesses, %d right", o, st.Guessed, st.Right)
			}
			s.Close()
		}
	}
}

// TestGuessesThatPay: as many are computed as give more tokens for the time that rounds
// have been measured to take, and none where that is none.
func TestGuessesThatPay(t *testing.T) {
	chosen := func(seconds func(rows int) float64, chances ...float64) string {
		s := speculation{}
		for rows := 1; rows <= maxRows; rows++ {
			s.measured(rows, time.Duration(seconds(rows)*1e9))
		}
		var tasks []*task
		for _, c := range chances {
			tasks = append(tasks, &task{guess: make([]int, maxGuess), hits: record{c, c, c}})
		}
		s.choose(tasks)
		out := ""
		for _, t := range tasks {
			out += fmt.Sprint(t.guesses)
		}
		return out
	}
	flat := func(int) float64 { return 1 }
	linear := func(rows int) float64 { return float64(rows) }
	steps := func(rows int) float64 { return float64((rows + 3) / 4) }
	for _, c := range []struct {
		seconds func(int) float64
		chances []float64
		want    string
	}{
		{flat, []float64{0.9}, "7"}, {linear, []float64{0.9}, "0"}, {steps, []float64{0.5}, "3"}, {steps, []float64{0.99}, "3"}, {steps, []float64{0.01}, "0"},
		{steps, []float64{0.9, 0.01}, "20"}, {flat, []float64{0.001, 0.9, 0.5}, "075"}, {steps, []float64{0.3, 0.3, 0.3, 0.3}, "0000"},
	} {
		if got := chosen(c.seconds, c.chances...); got != c.want {
			t.Errorf("chances %v: %s guesses, expected %s", c.chances, got, c.want)
		}
	}
	var s speculation
	if s.choose([]*task{{guess: []int{1}}}); s.cost(1) != 0 {
		t.Error("a cost without a measurement")
	}
	s.measured(1, time.Second)
	s.measured(5, 3*time.Second)
	if got := []float64{s.cost(1), s.cost(3), s.cost(6)}; !(math.Abs(got[0]-1)+math.Abs(got[1]-2)+math.Abs(got[2]-3-3*rowCost) < 1e-9) {
		t.Errorf("costs %v", got)
	}
	for range stale {
		s.measured(1, time.Second)
	}
	if got := s.cost(5); math.Abs(got-1-4*rowCost) > 1e-9 {
		t.Errorf("a measurement of long ago counts: %v", got)
	}
}
