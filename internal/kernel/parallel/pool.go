package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Pool runs jobs on a fixed number of threads: the caller's, and workers of its own. A job is
// a number of chunks of work, which do not depend on each other.
//
// Workers are goroutines. When there is nothing to do they park: they sleep until they are
// woken, so that an idle pool costs nothing. Waking a thread takes about 50 µs, with the
// Go runtime's delay before it moves a goroutine, which is longer than the pauses between
// the matrix products of a token. So a worker first polls for the next job for poolSpin
// before it parks, and the caller polls for the end of the last chunk for poolJoin. The
// caller does not wait for a worker that has not begun: on a busy machine it does that
// worker's chunks itself.
//
// All users of a pool cut their work by outputs, never along a sum, and where they cut
// depends on the shape alone. So the number of threads does not change a result.
type Pool struct {
	threads int
	workers []*worker
	mu      sync.Mutex // held during a Run; a Run that finds it locked works in its caller alone
}

// poolSpin is how long a worker polls for the next job before it parks, and poolJoin how
// long a thread without work polls for the end of the job under way: a chunk may take as
// long as that, and waking a thread takes a quarter of it. On a virtual machine it may take more,
// because the host gets a processor back that has nothing to do: with 20 and 100 µs, threads were
// idle for 6 % of a prompt of SmolLM2's, and with these for 4; longer polling brought no more.
const (
	poolSpin = 50 * time.Microsecond
	poolJoin = 200 * time.Microsecond
)

// job is one call of [Pool.Run] or [Pool.RunStreams].
type job struct {
	n       int64          // number of chunks
	next    atomic.Int64   // the first chunk that no thread has taken
	streams []stream       // used instead of next by RunStreams: the chunks left to each thread
	left    atomic.Int64   // chunks that are not done
	fn      func(i int)    // does chunk i
	done    sync.WaitGroup // has count 1 until all chunks are done
}

// work does chunks until none is left to take.
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

// take returns the next chunk for a thread; false if there is none.
func (j *job) take(thread int) (int64, bool) {
	if j.streams != nil {
		return takeStream(j.streams, thread)
	}
	i := j.next.Add(1) - 1
	return i, i < j.n
}

// worker is what other threads need to hand work to a worker.
type worker struct {
	thread int                 // its number; the caller of Run is thread 0
	job    atomic.Pointer[job] // the job that it is to begin; nil if there is none
	parked atomic.Bool         // it sleeps, or is about to, until something is sent to wake
	wake   chan struct{}
}

// closeJob is the job that makes a worker return.
var closeJob = new(job)

// give hands a job to the worker. It replaces one that the worker has not begun, whose
// chunks others have done.
func (w *worker) give(j *job) {
	w.job.Store(j)
	if w.parked.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

// run does jobs until it is given closeJob.
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
		// No other job comes before all threads have finished this one.
		spin(poolJoin, func() bool { return w.job.Load() != nil || j.left.Load() == 0 })
	}
}

// spin calls ok again and again until it returns true or the time limit is over.
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

// MaxThreads is the largest number of threads of a pool.
const MaxThreads = 1024

// NewPool returns a pool of so many threads, but not more than [MaxThreads]; 0 or less
// means one for each CPU that Go may use.
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

// Threads returns the number of threads, the caller's included.
func (p *Pool) Threads() int {
	if p == nil {
		return 1
	}
	return p.threads
}

// Run calls fn(0) … fn(n-1), each exactly once, and returns when all of them have returned.
// The calling goroutine does its share. It does all of the work if the pool is nil or has
// one thread, or if another Run of the pool is in progress (such as one that called this).
func (p *Pool) Run(n int, fn func(i int)) { p.run(n, false, fn) }

// run is [Pool.Run] or, with streams, [Pool.RunStreams].
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

// Close ends the workers. The pool must not be used after that.
func (p *Pool) Close() {
	if p == nil {
		return
	}
	for _, w := range p.workers {
		w.give(closeJob)
	}
	p.workers = nil
}
