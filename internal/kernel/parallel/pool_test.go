package parallel

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPoolRun: every chunk runs exactly once and has ended when Run returns,
// with workers that are awake, parked, or late for the job before.
func TestPoolRun(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		p := NewPool(threads)
		r := rand.New(rand.NewPCG(1, uint64(threads)))
		for round := range 6000 {
			n := r.IntN(20)
			ran := make([]int, n) // plain integers: the race detector watches the join
			p.run(n, round%2 == 1, func(i int) { ran[i]++ })
			for i, k := range ran {
				if k != 1 {
					t.Fatalf("%d threads, round %d: chunk %d of %d ran %d times", threads, round, i, n, k)
				}
			}
			if round%500 == 0 {
				time.Sleep(2 * poolSpin)
			}
		}
		p.Close()
	}
}

// TestTakeStream: a thread goes through its own stretch in order, then takes the
// upper half of the longest one.
func TestTakeStream(t *testing.T) {
	streams := newStreams(10, 3) // 0–2, 3–5, 6–9
	for _, c := range []struct {
		thread int
		want   []int64
	}{{0, []int64{0, 1, 2, 8, 9, 4, 5, 7, 3, 6, -1}}, {1, []int64{-1}}, {2, []int64{-1}}} {
		for _, want := range c.want {
			if i, ok := takeStream(streams, c.thread); ok && i != want || ok != (want >= 0) {
				t.Fatalf("thread %d takes %d (%v), want %d", c.thread, i, ok, want)
			}
		}
	}
}

// TestPoolParks: workers with nothing to do are parked, not looking out.
func TestPoolParks(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	p.Run(8, func(int) { time.Sleep(time.Millisecond) })
	for _, w := range p.workers {
		for start := time.Now(); !w.parked.Load(); time.Sleep(time.Millisecond) {
			if time.Since(start) > 5*time.Second {
				t.Fatal("a worker does not park")
			}
		}
	}
}

// TestPoolNested: a Run inside a Run, and Runs from several goroutines, all end.
func TestPoolNested(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var sum atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				p.Run(5, func(int) { p.Run(3, func(int) { sum.Add(1) }) })
			}
		})
	}
	wg.Wait()
	if n := sum.Load(); n != 4*200*15 {
		t.Errorf("%d chunks ran, want %d", n, 4*200*15)
	}
}

// BenchmarkFork is a fork and join of 16 small chunks, some microseconds after
// the one before.
func BenchmarkFork(b *testing.B) {
	p := NewPool(0)
	defer p.Close()
	busy := func(d time.Duration) {
		for start := time.Now(); time.Since(start) < d; {
		}
	}
	for _, gap := range []time.Duration{0, 10 * time.Microsecond, 200 * time.Microsecond} {
		b.Run(gap.String(), func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				busy(gap)
				start := time.Now()
				p.Run(16, func(int) { busy(5 * time.Microsecond) })
				took += time.Since(start)
			}
			b.ReportMetric(float64(took.Microseconds())/float64(b.N), "µs/fork")
		})
	}
}
