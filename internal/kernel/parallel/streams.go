package parallel

import "sync/atomic"

// RunStreams is [Pool.Run] for chunks that follow each other in memory. Each thread gets
// a contiguous stretch of them, which the hardware prefetcher sees as one stream of what
// is read, and threads do not write to neighbouring cache lines. A thread that has finished its stretch takes the upper half of the
// longest stretch that is left.
func (p *Pool) RunStreams(n int, fn func(i int)) { p.run(n, true, fn) }

// stream is what is left of a thread's stretch: its next chunk in the upper half of the
// number, its end in the lower half.
type stream struct {
	span atomic.Uint64
	_    [56]byte // a cache line of its own
}

func packSpan(next, end int64) uint64 { return uint64(next)<<32 | uint64(end) }

func unpackSpan(v uint64) (next, end int64) { return int64(v >> 32), int64(v & (1<<32 - 1)) }

// newStreams cuts n chunks into a stretch for each thread.
func newStreams(n, threads int) []stream {
	streams := make([]stream, threads)
	cut := func(thread int) int64 { return int64(n) * int64(thread) / int64(threads) }
	for i := range streams {
		streams[i].span.Store(packSpan(cut(i), cut(i+1)))
	}
	return streams
}

// takeStream is the next chunk for a thread.
func takeStream(streams []stream, thread int) (int64, bool) {
	own := &streams[thread].span
	for {
		v := own.Load()
		next, end := unpackSpan(v)
		if next == end {
			break
		}
		if own.CompareAndSwap(v, packSpan(next+1, end)) {
			return next, true
		}
	}
	for {
		var longest *atomic.Uint64
		var seen uint64
		most := int64(0)
		for i := range streams {
			v := streams[i].span.Load()
			if next, end := unpackSpan(v); end-next > most {
				longest, seen, most = &streams[i].span, v, end-next
			}
		}
		if longest == nil {
			return 0, false
		}
		next, end := unpackSpan(seen)
		mid := next + most/2
		if longest.CompareAndSwap(seen, packSpan(next, mid)) {
			// Only its own thread stores to a stream that is finished, and no stretch occurs
			// twice: a thread that still holds an old value of the stream takes nothing.
			own.Store(packSpan(mid+1, end))
			return mid, true
		}
	}
}
