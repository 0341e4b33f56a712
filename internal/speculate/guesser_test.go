package speculate

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

func TestLookup(t *testing.T) {
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
		if got, repeat := lookup(c.text, c.next, 3); !slices.Equal(got, c.want) || repeat != c.repeat {
			t.Errorf("%v, %d: guessed %v after %d, expected %v after %d", c.text, c.next, got, repeat, c.want, c.repeat)
		}
	}
	if got, _ := lookup([]int{5, 6, 5}, 6, -1); got != nil {
		t.Errorf("no room: guessed %v", got)
	}
}

// TestGuessesThatPay: as many are computed as give more tokens for the time that rounds
// have been measured to take, and none where that is none.
func TestGuessesThatPay(t *testing.T) {
	chosen := func(seconds func(rows int) float64, chances ...float64) string {
		var g Guesser
		for rows := 1; rows <= maxRows; rows++ {
			g.Measured(rows, time.Duration(seconds(rows)*1e9))
		}
		var texts []*Text
		for _, c := range chances {
			texts = append(texts, &Text{guesses: make([]guess, maxGuess), hits: record{c}})
		}
		g.choose(texts, false)
		out := ""
		for _, t := range texts {
			out += fmt.Sprint(t.chosen)
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
	var s timing
	if s.cost(1) != 0 {
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
