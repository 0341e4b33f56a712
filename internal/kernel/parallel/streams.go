package parallel

import "sync/atomic"

// RunStreams is [Pool.Run] for chunks that follow each other in memory. Each thread gets a
// contiguous range of them, so that the hardware prefetcher can follow what it reads, and
// so that threads do not write to the same cache lines. A thread that has finished its
// range takes the upper half of the longest range that is left.
func (p *Pool) RunStreams(n int, fn func(i int)) { p.run(n, true, fn) }

// stream is the chunks that are left in a thread's range. Its number holds the next chunk in
// the upper 32 bits and the end of the range in the lower 32, so that both change at once.
type stream struct {
	span atomic.Uint64
	_    [56]byte // fills a cache line, so that threads do not share one
}

// packSpan and unpackSpan convert a range to the number of a stream and back.
func packSpan(next, end int64) uint64 { return uint64(next)<<32 | uint64(end) }

func unpackSpan(v uint64) (next, end int64) { return int64(v >> 32), int64(v & (1<<32 - 1)) }

// newStreams cuts n chunks into a range for each thread.
func newStreams(n, threads int) []stream {
	streams := make([]stream, threads)
	cut := func(thread int) int64 { return int64(n) * int64(thread) / int64(threads) }
	for i := range streams {
		streams[i].span.Store(packSpan(cut(i), cut(i+1)))
	}
	return streams
}

// takeStream returns the next chunk for a thread; false if there is none.
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
			// This is safe: only its own thread stores to a stream that has no chunks left, and
			// a range never occurs twice, so that the CompareAndSwap of a thread that has read
			// an older number of this stream fails.
			own.Store(packSpan(mid+1, end))
			return mid, true
		}
	}
}
