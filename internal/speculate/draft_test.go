package speculate

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/testmodel"
)

func open(t *testing.T) *engine.Model {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := testmodel.Write(dir, testmodel.Options{Context: 512}); err != nil {
		t.Fatal(err)
	}
	m, err := engine.Open(dir, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// drafted is a guesser whose model's rounds take so long by rows, and whose draft model's steps
// take step; and a text of 40 tokens that never says the same twice.
func drafted(t *testing.T, seconds func(rows int) float64, step float64) (*Guesser, *Text) {
	m := open(t)
	g := New(open(t), Options{Draft: m, Failed: func(err error) { t.Error(err) }})
	for rows := 1; rows <= maxRows; rows++ {
		g.Measured(rows, time.Duration(seconds(rows)*1e9))
	}
	for rows := 1; rows <= maxRows; rows++ {
		g.small.measured(rows, time.Duration(step*1e9))
	}
	x := &Text{Next: 200, Most: 100, Sampler: sampler.New(sampler.Options{}, nil, nil), Draft: m.NewSequence()}
	for i := range 40 {
		x.Tokens = append(x.Tokens, i)
	}
	return g, x
}

// goOn lets a text go on with what a share of its guesses was, and says how many were made.
func goOn(g *Guesser, x *Text, rng *rand.Rand, share float64, rounds int) (drafted int64) {
	for range rounds {
		g.Look([]*Text{x}, false)
		taken := append([]int{x.Next}, x.Chosen(nil)...)
		guesses := append(x.Chosen(nil), -1)
		for n := 0; ; n++ {
			id := guesses[n]
			if id < 0 || rng.Float64() >= share {
				id = 128 + rng.IntN(128)
			}
			if !x.Drawn(id) {
				x.Next = id
				break
			}
		}
		drafted += x.Counts().Drafted
		x.Tokens = append(x.Tokens, taken[:len(taken)-x.Wrong()]...)
		if len(x.Tokens) > 400 {
			x.Tokens = x.Tokens[:40]
		}
	}
	return drafted
}

// TestDraftPays: the draft model is used where its guesses are right and cheap, and is given up
// where they are wrong or dear, but for a trial now and then.
func TestDraftPays(t *testing.T) {
	flat := func(rows int) float64 { return 1 + 0.1*float64(rows-1) }
	linear := func(rows int) float64 { return float64(rows) }
	for _, c := range []struct {
		name    string
		seconds func(rows int) float64
		step    float64
		share   float64
		used    bool
	}{
		{"right and cheap", flat, 0.1, 0.95, true}, {"wrong", flat, 0.1, 0.02, false}, {"dear", flat, 1.5, 0.95, false}, {"rows cost as much as rounds", linear, 0.1, 0.95, false},
	} {
		g, x := drafted(t, c.seconds, c.step)
		rng := rand.New(rand.NewPCG(1, 2))
		const rounds = 300
		// Only the fixed times count, not what this machine takes.
		g.small.seconds[1] = c.step
		made := int64(0)
		for range rounds {
			made += goOn(g, x, rng, c.share, 1)
			for rows := 1; rows <= maxRows; rows++ {
				g.small.seconds[rows], g.small.asOf[rows] = c.step, g.small.rounds
				g.whole.asOf[rows] = g.whole.rounds
			}
		}
		if c.used && made < rounds || !c.used && made > rounds/4 {
			t.Errorf("%s: %d tokens drafted in %d rounds", c.name, made, rounds)
		}
	}
}

// TestDraftFails: a draft model that can't compute is said once, and prompt lookup goes on.
func TestDraftFails(t *testing.T) {
	var failures []error
	m := open(t)
	g := New(m, Options{Draft: open(t), Forced: 3, Failed: func(err error) { failures = append(failures, err) }})
	x := &Text{Tokens: []int{1, 2, 3, 4, 1, 2}, Next: 3, Most: 9, Sampler: sampler.New(sampler.Options{}, nil, nil), Draft: m.NewSequence()} // of another model
	x.hits, x.begun = hope(), true
	x.hits[1] = 0 // so that the draft model is asked
	for range 2 {
		g.Look([]*Text{x}, false)
		if got := x.Chosen(nil); len(got) != 3 || got[0] != 4 {
			t.Errorf("guesses %v, expected those of the text", got)
		}
	}
	if len(failures) != 1 {
		t.Errorf("failures %v, expected one", failures)
	}
}
