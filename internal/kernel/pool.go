package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs the chunks of a kernel on a fixed number of threads. Workers are
// goroutines parked on a channel: an idle pool costs nothing, and a fork-join
// costs about a microsecond.
//
// Every kernel splits its work by output, never along a sum, and takes its
// chunk boundaries from the shape alone, so the number of threads never
// changes a result.
type Pool struct {
	threads int
	jobs    []chan *job
	mu      sync.Mutex // one Run at a time; a nested Run runs inline
}

type job struct {
	n    int64
	next atomic.Int64
	fn   func(i int)
	done sync.WaitGroup
}

func (j *job) work() {
	for {
		i := j.next.Add(1) - 1
		if i >= j.n {
			return
		}
		j.fn(int(i))
	}
}

// NewPool returns a pool of the given number of threads; 0 or less means one
// thread per CPU that Go may use.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, jobs: make([]chan *job, threads-1)}
	for i := range p.jobs {
		ch := make(chan *job, 1)
		p.jobs[i] = ch
		go func() {
			for j := range ch {
				j.work()
				j.done.Done()
			}
		}()
	}
	return p
}

// Threads is the number of threads, the caller's included.
func (p *Pool) Threads() int {
	if p == nil {
		return 1
	}
	return p.threads
}

// Run calls fn(0) … fn(n-1), each exactly once, and returns when all have
// returned. The calling goroutine works too. A nil pool, a pool of one thread
// and a Run inside a Run all work in the caller alone.
func (p *Pool) Run(n int, fn func(i int)) {
	if n <= 0 {
		return
	}
	if p == nil || len(p.jobs) == 0 || n == 1 || !p.mu.TryLock() {
		for i := range n {
			fn(i)
		}
		return
	}
	defer p.mu.Unlock()
	j := &job{n: int64(n), fn: fn}
	helpers := min(len(p.jobs), n-1)
	j.done.Add(helpers)
	for _, ch := range p.jobs[:helpers] {
		ch <- j
	}
	j.work()
	j.done.Wait()
}

// Close ends the workers. The pool must not be used afterwards.
func (p *Pool) Close() {
	if p == nil {
		return
	}
	for _, ch := range p.jobs {
		close(ch)
	}
	p.jobs = nil
}
