package sampler

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// logitsOf gives logits with the probabilities.
func logitsOf(p ...float64) []float32 {
	out := make([]float32, len(p))
	for i, v := range p {
		out[i] = float32(math.Log(v))
	}
	return out
}

// drawn are the tokens that 4000 draws give.
func drawn(o Options, logits []float32) []int {
	s := New(o, nil, nil)
	found := map[int]bool{}
	for range 4000 {
		s.seen = nil
		found[s.Next(logits)] = true
	}
	var ids []int
	for id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// TestFilters checks which tokens each filter lets through, by hand.
func TestFilters(t *testing.T) {
	p := logitsOf(0.5, 0.2, 0.15, 0.1, 0.04, 0.01)
	for _, c := range []struct {
		name string
		o    Options
		want []int
	}{
		{"all", Options{Temperature: 1}, []int{0, 1, 2, 3, 4, 5}},
		{"top-k", Options{Temperature: 1, TopK: 3}, []int{0, 1, 2}},
		{"top-p 0.7: the first two have 0.7", Options{Temperature: 1, TopP: 0.699}, []int{0, 1}},
		{"top-p just above", Options{Temperature: 1, TopP: 0.701}, []int{0, 1, 2}},
		{"top-p keeps one", Options{Temperature: 1, TopP: 0.001}, []int{0}},
		{"min-p 0.2 of 0.5", Options{Temperature: 1, MinP: 0.199}, []int{0, 1, 2, 3}},
		{"min-p 1", Options{Temperature: 1, MinP: 1}, []int{0}},
		{"top-k, then top-p of what is left", Options{Temperature: 1, TopK: 2, TopP: 0.72}, []int{0, 1}},
		{"top-p after a high temperature", Options{Temperature: 1e6 / 1e4, TopP: 0.5}, []int{0, 1, 2}},
		// entropy 1.395 nats; -log p: 0.69 1.61 1.90 2.30 3.22 4.6; distances 0.70 0.21 0.50 0.91 1.8 3.2
		{"typical 0.2", Options{Temperature: 1, Typical: 0.19}, []int{1}},
		{"typical 0.3", Options{Temperature: 1, Typical: 0.3}, []int{1, 2}},
		{"typical 0.8", Options{Temperature: 1, Typical: 0.8}, []int{0, 1, 2}},
		{"bias", Options{Temperature: 1, TopK: 1, LogitBias: map[int]float64{5: 10}}, []int{5}},
		{"ban", Options{Temperature: 1, LogitBias: map[int]float64{0: math.Inf(-1)}}, []int{1, 2, 3, 4, 5}},
		{"greedy", Options{TopK: 5, LogitBias: map[int]float64{0: -3}}, []int{1}},
	} {
		if got := drawn(c.o, p); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, expected %v", c.name, got, c.want)
		}
	}
}

// TestFrequencies compares draws with the probabilities they should have.
func TestFrequencies(t *testing.T) {
	p := []float64{0.5, 0.3, 0.15, 0.05}
	for _, temperature := range []float64{1, 0.5, 2} {
		s := New(Options{Temperature: temperature, Seed: 7, TopK: 3}, nil, nil)
		var counts [4]int
		const n = 60000
		for range n {
			counts[s.Next(logitsOf(p...))]++
			s.seen = s.seen[:0]
		}
		sum := 0.0
		for _, v := range p[:3] {
			sum += math.Pow(v, 1/temperature)
		}
		for i, c := range counts {
			want := math.Pow(p[i], 1/temperature) / sum
			if i == 3 {
				want = 0
			}
			if got := float64(c) / n; math.Abs(got-want) > 0.01 {
				t.Errorf("temperature %v, token %d: %v, expected %v", temperature, i, got, want)
			}
		}
	}
}

// TestPenalties checks the arithmetic.
func TestPenalties(t *testing.T) {
	logits := []float32{2, -2, 1, 1, 0}
	for _, c := range []struct {
		name              string
		o                 Options
		prompt, generated []int
		want              []float32
	}{
		{"repetition, of the prompt too", Options{RepetitionPenalty: 2}, []int{0}, []int{1, 1}, []float32{1, -4, 1, 1, 0}},
		{"presence and frequency, of what is generated", Options{PresencePenalty: 0.5, FrequencyPenalty: 0.25}, []int{0, 0}, []int{2, 2, 3}, []float32{2, -2, 0, 0.25, 0}},
		{"window", Options{FrequencyPenalty: 1, PenaltyWindow: 2}, nil, []int{2, 2, 3}, []float32{2, -2, 0, 0, 0}},
		{"window over the prompt", Options{RepetitionPenalty: 2, PenaltyWindow: 1}, []int{0}, []int{2}, []float32{2, -2, 0.5, 1, 0}},
		{"ids outside are left alone", Options{RepetitionPenalty: 2}, []int{99, -1}, nil, logits},
		{"bias first", Options{RepetitionPenalty: 2, LogitBias: map[int]float64{0: -4, 99: 1}}, []int{0}, nil, []float32{-4, -2, 1, 1, 0}},
	} {
		s := New(c.o, c.prompt, nil)
		s.seen = append(s.seen, c.generated...)
		if got := s.adjusted(logits); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, expected %v", c.name, got, c.want)
		}
	}
	if logits[0] != 2 {
		t.Error("the caller's logits were changed")
	}
}

// TestDRY checks the lengths of repetitions by hand and against a definition that looks
// at all pairs of places.
func TestDRY(t *testing.T) {
	for _, c := range []struct {
		seen string
		want map[int]int
	}{
		{"abcXabc", map[int]int{'X': 3}},
		{"abcXdbcYbc", map[int]int{'X': 2, 'Y': 2}},
		{"aaaa", map[int]int{'a': 3}},
		{"abcd", map[int]int{}},
		{"ab\nab", map[int]int{}}, // the next would be a breaker
		{"a\nbXa\nb", map[int]int{'X': 1}},
		{"ab\n", map[int]int{}},
		{"", map[int]int{}},
	} {
		var ids []int
		for _, r := range c.seen {
			ids = append(ids, int(r))
		}
		s := New(Options{}, ids, func(id int) bool { return id == '\n' })
		got := s.repeats(s.seen)
		if len(got) != len(c.want) {
			t.Errorf("%q: %v, expected %v", c.seen, got, c.want)
		}
		for id, n := range c.want {
			if got[id] != n {
				t.Errorf("%q: %v, expected %v", c.seen, got, c.want)
			}
		}
	}
	s := New(Options{DRY: DRY{Multiplier: 0.8}}, []int{1, 2, 3, 4, 1, 2, 3}, nil)
	got := s.adjusted(make([]float32, 6))
	if want := float32(-0.8 * 1.75); math.Abs(float64(got[4]-want)) > 1e-6 || got[1] != 0 || got[3] != 0 {
		t.Errorf("penalties %v, expected %v of token 4 alone", got, want)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		x := make([]int, rng.IntN(30))
		for i := range x {
			x[i] = rng.IntN(4)
		}
		s := New(Options{}, x, func(id int) bool { return id == 3 })
		want := map[int]int{}
		for i := range x {
			for n := 1; n <= i && n < len(x); n++ {
				before, end := x[i-n:i], x[len(x)-n:]
				if i < len(x) && slices.Equal(before, end) && !slices.Contains(end, 3) && x[i] != 3 {
					want[x[i]] = max(want[x[i]], n)
				}
			}
		}
		got := s.repeats(x)
		for id := range 4 {
			if got[id] != want[id] {
				t.Fatalf("%v: %v, expected %v", x, got, want)
			}
		}
	}
}

// TestSeed draws the same tokens again from the same seed, and others from another.
func TestSeed(t *testing.T) {
	logits := make([]float32, 100)
	text := func(seed uint64) (out []int) {
		s := New(Options{Temperature: 1, Seed: seed, RepetitionPenalty: 1.2}, nil, nil)
		for range 40 {
			out = append(out, s.Next(logits))
		}
		return out
	}
	if !slices.Equal(text(5), text(5)) || slices.Equal(text(5), text(6)) {
		t.Error("the seed does not decide the text")
	}
}

func TestCheck(t *testing.T) {
	good := Options{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, Typical: 1, RepetitionPenalty: 1.1, PresencePenalty: -1, DRY: DRY{Multiplier: 0.8}, LogitBias: map[int]float64{1: -100}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, o := range map[string]Options{
		"temperature": {Temperature: -1}, "top-k": {TopK: -1}, "top-p": {TopP: 2}, "min-p": {MinP: math.NaN()}, "typical": {Typical: -0.1},
		"repetition": {RepetitionPenalty: -1}, "presence": {PresencePenalty: 1e9}, "frequency": {FrequencyPenalty: math.Inf(1)}, "window": {PenaltyWindow: -1},
		"multiplier": {DRY: DRY{Multiplier: -1}}, "base": {DRY: DRY{Base: 0.5}}, "length": {DRY: DRY{AllowedLength: -1}}, "DRY window": {DRY: DRY{Window: -1}},
		"bias": {LogitBias: map[int]float64{-1: 1}},
	} {
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestStops(t *testing.T) {
	for _, c := range []struct {
		stops      []string
		push       []string
		show, stop string
	}{
		{[]string{"END"}, []string{"a", "b", "c"}, "abc", ""},
		{[]string{"END"}, []string{"aE", "N", "D", "x"}, "a", "END"},
		{[]string{"END"}, []string{"aE", "N", "x"}, "aENx", ""},
		{[]string{"END"}, []string{"aEEN", "Dx"}, "aE", "END"},
		{[]string{"\n\n", "User:"}, []string{"hi\n", "User", ": x"}, "hi\n", "User:"},
		{[]string{"abcd", "bc"}, []string{"xab", "cd"}, "x", "abcd"},
		{[]string{"bc", "bcd"}, []string{"abcd"}, "a", "bcd"},
		{[]string{"aab"}, []string{"a", "a", "a", "b"}, "a", "aab"},
		{nil, []string{"a"}, "a", ""},
	} {
		s, err := NewStops(c.stops)
		if err != nil {
			t.Fatal(err)
		}
		var show, stop string
		for _, p := range c.push {
			var more string
			more, stop = s.Push(p)
			if show += more; stop != "" {
				break
			}
		}
		if stop == "" {
			show += s.Flush()
		}
		if show != c.show || stop != c.stop {
			t.Errorf("%q of %q: %q, %q; expected %q, %q", c.stops, c.push, show, stop, c.show, c.stop)
		}
	}
	for _, bad := range [][]string{{""}, {strings.Repeat("x", 2000)}, make([]string, 65)} {
		if _, err := NewStops(bad); err == nil {
			t.Errorf("%d stop strings: no error", len(bad))
		}
	}
}

func TestLogProbs(t *testing.T) {
	of, most := LogProbs(logitsOf(0.1, 0.4, 0.3, 0.2), 3, 2)
	if math.Abs(of-math.Log(0.2)) > 1e-6 || len(most) != 2 || most[0].ID != 1 || most[1].ID != 2 || math.Abs(most[0].P-math.Log(0.4)) > 1e-6 {
		t.Errorf("%v %v", of, most)
	}
	if _, most = LogProbs(make([]float32, 5), 0, 9); len(most) != 5 || most[0].ID != 0 || most[4].ID != 4 {
		t.Errorf("%v", most)
	}
}

// TestMostLikely compares the heap with sorting everything.
func TestMostLikely(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		all := make([]candidate, 1+rng.IntN(60))
		for i := range all {
			all[i] = candidate{i, float64(rng.IntN(20)) / 20}
		}
		sorted := slices.SortedFunc(slices.Values(all), byProbability)
		n := 1 + rng.IntN(70)
		cut := float64(rng.IntN(25)) / 20
		want := sorted[:min(n, len(sorted))]
		for i, c := range want {
			if c.p < cut && i > 0 {
				want = want[:i]
				break
			}
		}
		got := mostLikely(slices.Clone(all), n, func(c candidate) bool { return c.p >= cut })
		if !slices.Equal(got, want) {
			t.Fatalf("%v\n of %v from %v:\n%v\nexpected %v", n, all, cut, got, want)
		}
	}
}

// BenchmarkNext draws from a vocabulary of Qwen's size with the filters that run sets.
func BenchmarkNext(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	logits := make([]float32, 151_936)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 3)
	}
	s := New(Options{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05}, nil, nil)
	for b.Loop() {
		s.Next(logits)
	}
}
