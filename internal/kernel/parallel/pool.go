package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Pool runs the chunks of a kernel on a fixed number of threads.
//
// Workers are goroutines that park when there is nothing to do, so that an idle pool
// costs nothing. Between the products of a token the gaps are shorter than the time to
// wake a thread (about 50 µs with the runtime's delay before it moves a goroutine).
// Therefore a worker polls for the next job for poolSpin before it parks, and the caller
// polls for the end of the last chunk, for poolJoin. Nobody waits for a worker that has not begun: on a
// busy machine the caller does that worker's chunks too.
//
// Every kernel splits its work by output, never along a sum, and takes its
// chunk boundaries from the shape alone, so the number of threads never
// changes a result.
type Pool struct {
	threads int
	workers []*worker
	mu      sync.Mutex // one Run at a time; a nested Run runs inline
}

// poolSpin is the longest time that a thread polls for the next job before it parks, and
// poolJoin that it polls for the end of a job under way: a chunk may take so long, and
// waking a thread costs half of it.
const (
	poolSpin = 20 * time.Microsecond
	poolJoin = 100 * time.Microsecond
)

type job struct {
	n       int64
	next    atomic.Int64 // first chunk that nobody has taken
	streams []stream     // or what is left to each thread, see [Pool.RunStreams]
	left    atomic.Int64 // chunks that are not done
	fn      func(i int)
	done    sync.WaitGroup // of one: all chunks are done
}

// work takes chunks until there are none.
func (j *job) work(thread int) {
	done := int64(0)
	for {
		i, ok := j.take(thread)
		if !ok {
			break
		}
		j.fn(int(i))
		done++
	}
	if done > 0 && j.left.Add(-done) == 0 {
		j.done.Done()
	}
}

// take returns the next chunk for a thread.
func (j *job) take(thread int) (int64, bool) {
	if j.streams != nil {
		return takeStream(j.streams, thread)
	}
	i := j.next.Add(1) - 1
	return i, i < j.n
}

// worker is a thread's mailbox.
type worker struct {
	thread int // the caller of Run is thread 0
	job    atomic.Pointer[job]
	parked atomic.Bool
	wake   chan struct{}
}

// closeJob is the job that makes a worker end.
var closeJob = new(job)

// give passes a job to the worker, in place of one that it has not begun.
func (w *worker) give(j *job) {
	w.job.Store(j)
	if w.parked.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

func (w *worker) run() {
	for {
		spin(poolSpin, func() bool { return w.job.Load() != nil })
		j := w.job.Swap(nil)
		if j == nil {
			w.parked.Store(true)
			if w.job.Load() == nil || !w.parked.CompareAndSwap(true, false) {
				<-w.wake
			}
			continue
		}
		if j == closeJob {
			return
		}
		j.work(w.thread)
		// The next job comes only when others have finished this one.
		spin(poolJoin, func() bool { return w.job.Load() != nil || j.left.Load() == 0 })
	}
}

// spin polls until ok returns true, for as long as limit at most.
func spin(limit time.Duration, ok func() bool) {
	if ok() {
		return
	}
	for start := time.Now(); time.Since(start) < limit; {
		for range 8 {
			if ok() {
				return
			}
			pause()
		}
	}
}

// MaxThreads is the most threads of a pool.
const MaxThreads = 1024

// NewPool returns a pool of the given number of threads, [MaxThreads] at most; 0 or
// less means one thread per CPU that Go may use.
func NewPool(threads int) *Pool {
	threads = min(threads, MaxThreads)
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, workers: make([]*worker, threads-1)}
	for i := range p.workers {
		p.workers[i] = &worker{thread: i + 1, wake: make(chan struct{}, 1)}
		go p.workers[i].run()
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
func (p *Pool) Run(n int, fn func(i int)) { p.run(n, false, fn) }

func (p *Pool) run(n int, streams bool, fn func(i int)) {
	if n <= 0 {
		return
	}
	if p == nil || len(p.workers) == 0 || n == 1 || !p.mu.TryLock() {
		for i := range n {
			fn(i)
		}
		return
	}
	defer p.mu.Unlock()
	j := &job{n: int64(n), fn: fn}
	j.left.Store(int64(n))
	j.done.Add(1)
	if streams {
		j.streams = newStreams(n, p.threads)
	}
	for _, w := range p.workers[:min(len(p.workers), n-1)] {
		w.give(j)
	}
	j.work(0)
	spin(poolJoin, func() bool { return j.left.Load() == 0 })
	j.done.Wait()
}

// Close ends the workers. The pool must not be used afterwards.
func (p *Pool) Close() {
	if p == nil {
		return
	}
	for _, w := range p.workers {
		w.give(closeJob)
	}
	p.workers = nil
}
