package pipeline

import (
	"testing"
	"time"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/recipe"
)

// wideConfig is a model too large for any test to run.
func wideConfig() *checkpoint.Config {
	return &checkpoint.Config{HiddenSize: 4096, IntermediateSize: 11008, Layers: 32, Heads: 32, KVHeads: 32, HeadDim: 128, VocabSize: 32000, MaxPositions: 4096}
}

// What takes longer is planned to take longer, and the parts add up.
func TestEfforts(t *testing.T) {
	c := wideConfig()
	of := func(name string, windows int) phases {
		r, err := recipe.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		return efforts(c, r, windows, 512, 1e9, 3e8)
	}
	rtn, gptq, klt, best, spin := of("rtn", 0), of("gptq", 64), of("specquant-klt", 64), of("specquant-best", 64), of("spinquant", 64)
	if rtn.block[moments] != 0 || rtn.block[products] >= gptq.block[products]/100 {
		t.Errorf("rtn: %v of a block, beside gptq's %v", rtn.block, gptq.block)
	}
	if gptq.block[moments] <= 0 || gptq.block[wide] <= 0 || klt.block[wide] <= gptq.block[wide] {
		t.Errorf("gptq %v, specquant-klt %v", gptq.block, klt.block)
	}
	if best.block[products] <= 2*klt.block[products] || best.after[products] <= klt.after[products] {
		t.Errorf("specquant-best %v and %v, specquant-klt %v and %v", best.block, best.after, klt.block, klt.after)
	}
	if spin.before[products] <= klt.before[products] {
		t.Errorf("spinquant: %v before the blocks", spin.before)
	}
	twice := of("gptq", 128)
	for _, k := range []kind{products, moments, elements} {
		if r := twice.block[k] / gptq.block[k]; r < 1.3 || r > 2.01 {
			t.Errorf("twice the windows: %.2f times as much of kind %d", r, k)
		}
	}
}

// The range is one: least before most, both of the order of the work at a speed that
// a processor can have.
func TestMeasure(t *testing.T) {
	pool := parallel.NewPool(1)
	defer pool.Close()
	r, err := recipe.Load("gptq")
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(wideConfig(), 13e9, 5e8, 0, r, 1, 128, 2048, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.Measure(pool)
	if p.Least <= 0 || p.Most < p.Least {
		t.Fatalf("%v to %v", p.Least, p.Most)
	}
	if speed := p.Work / p.Least.Seconds(); speed < 1e7 || speed > 1e13 {
		t.Errorf("%.3g operations in %v: %.3g a second", p.Work, p.Least, speed)
	}
}

// A machine with room for the job does not stretch it; on a busy one it gets its share.
func TestStretch(t *testing.T) {
	for _, c := range []struct{ load, threads, least, most float64 }{
		{0, 1, 1, 1}, {0.4, 0.5, 1, 1}, {1, 1, 1, 3}, {9, 1, 5, 15}, {0, 2, 1, 3},
	} {
		if least, most := stretch(c.load, c.threads); least != c.least || most != c.most {
			t.Errorf("load %v, threads %v: %v to %v, want %v to %v", c.load, c.threads, least, most, c.least, c.most)
		}
	}
}

// The time left is the plan's until a block is finished, then that of the blocks.
func TestRemaining(t *testing.T) {
	p := &Plan{Blocks: 10, before: span{5, 10}, block: span{10, 20}, after: span{1, 2}}
	start := time.Now()
	r := &remaining{plan: p, since: start}
	check := func(what string, at float64, least, most float64) {
		t.Helper()
		a, b := r.at(r.since.Add(seconds(at)))
		if d := a - seconds(least); d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("%s: least %v, want %v s", what, a, least)
		}
		if d := b - seconds(most); d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("%s: most %v, want %v s", what, b, most)
		}
	}
	check("at the start", 0, 106, 212)
	check("in the first block", 50, 56, 162)
	check("longer than planned", 500, 0, 0)
	r.told(Event{Block: 1, Seconds: 1, Resumed: true}) // says nothing of the others
	check("taken over", 0, 91, 182)
	r.told(Event{Block: 2, Seconds: 60}) // four times as slow as the middle of the plan
	check("one block", 0, 8*54+1.5*54/15, 8*72+1.5*72/15)
	r.told(Event{Block: 2, Stage: "of the third"})
	check("in the third", 10, 8*54+1.5*54/15-10, 8*72+1.5*72/15-10)
	r.told(Event{Block: 3, Seconds: 40})
	check("two blocks", 0, 7*40+1.5*40/15, 7*60+1.5*60/15)
	for i := range 6 { // a block long ago does not count
		r.told(Event{Block: 4 + i, Seconds: 30})
	}
	check("as fast as in the middle", 0, 1*30+3, 1*30+3)
	r.told(Event{Block: 10, Seconds: 30})
	check("behind the blocks", 1, 2, 2)
}
