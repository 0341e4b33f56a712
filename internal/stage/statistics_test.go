package stage

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestStatsMoments(t *testing.T) {
	s := NewStats(2, 4, 4)
	for _, x := range [][]float32{{1, -2, 3, 0}, {-5, 2, 1, 4}} { // two tokens each
		if err := s.Add(nil, x, 2); err != nil {
			t.Fatal(err)
		}
	}
	if s.Tokens != 4 || !slices.Equal(s.AbsMax, []float32{5, 4}) {
		t.Errorf("%d tokens, maxima %v", s.Tokens, s.AbsMax)
	}
	check := func(name string, got []float64, want ...float64) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	a := s.Act(nil)
	check("mean", a.Mean, 0, 1)
	check("mean |x|", a.MeanAbs, 2.5, 2)
	check("mean x²", a.MeanSquare, 9, 6)
	a = s.Act([]float32{2, 0.5})
	check("mean/λ", a.Mean, 0, 2)
	check("mean |x|/λ", a.MeanAbs, 1.25, 4)
	check("mean x²/λ²", a.MeanSquare, 2.25, 24)

	s.Reset()
	if a := s.Act(nil); s.Tokens != 0 || s.SampleTokens() != 0 || a.MeanAbs[0] != 0 || s.AbsMax[1] != 0 {
		t.Error("Reset left something behind")
	}
	if err := s.Add(nil, []float32{1, 1}, 1); err != nil || s.SampleTokens() != 1 || s.Act(nil).Mean[1] != 1 {
		t.Errorf("after Reset: %v, %d tokens kept", err, s.SampleTokens())
	}
}

// However the tokens come, the sample is every so-manieth of them, from the
// first, and never more than was asked for.
func TestStatsSample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens, limit := rapid.IntRange(0, 300).Draw(t, "tokens"), rapid.IntRange(0, 40).Draw(t, "sample")
		s := NewStats(2, tokens, limit)
		room := cap(s.Sample)
		for at := 0; at < tokens; {
			n := min(rapid.IntRange(1, 50).Draw(t, "batch"), tokens-at)
			x := make([]float32, 2*n)
			for i := range n {
				x[2*i], x[2*i+1] = float32(at+i), -float32(at+i)
			}
			if err := s.Add(nil, x, n); err != nil {
				t.Fatal(err)
			}
			at += n
		}
		kept := s.SampleTokens()
		if kept > limit || cap(s.Sample) != room {
			t.Fatalf("%d tokens kept, at most %d wanted; room for %d numbers, was %d", kept, limit, cap(s.Sample), room)
		}
		if tokens <= limit && kept != tokens {
			t.Fatalf("%d of %d tokens kept though all fit", kept, tokens)
		}
		if kept == 0 {
			if tokens > 0 && limit > 0 {
				t.Fatal("nothing kept")
			}
			return
		}
		if kept*2 < min(tokens, limit) {
			t.Fatalf("only %d tokens kept of %d, with %d wanted", kept, tokens, limit)
		}
		step := 1.0
		if kept > 1 {
			step = float64(s.Sample[2])
		}
		for i := range kept {
			if a, b := s.Sample[2*i], s.Sample[2*i+1]; float64(a) != step*float64(i) || b != -a {
				t.Fatalf("sample %d is token %v (%v), want %v", i, a, b, step*float64(i))
			}
		}
		if last := step * float64(kept); last < float64(tokens) && kept < limit {
			t.Fatalf("the sample ends at %v of %d tokens", last, tokens)
		}
	})
}

func TestStatsNonFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		s := NewStats(3, 100, 10)
		if err := s.Add(nil, make([]float32, 21), 7); err != nil {
			t.Fatal(err)
		}
		err := s.Add(nil, []float32{0, math.MaxFloat32, 0, 0, bad, 0}, 2)
		var at *NonFiniteError
		if !errors.As(err, &at) || at.Token != 8 || at.Channel != 1 || math.Float32bits(at.Value) != math.Float32bits(bad) {
			t.Errorf("%v: error %v, want token 8, channel 1", bad, err)
		}
	}
}
