package cpu

import (
	"time"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Limits are the highest speeds of this machine's cores and memory, measured by loops
// that do nothing else.
type Limits struct {
	Int8 float64 // operations per second of int8 multiply-adds on vector registers (not on those of AMX), two for each; 0 if there is no loop for the active tier
	FMA  float64 // operations per second of float32 multiply-adds on registers, two for each; 0 likewise
	Read float64 // bytes per second of reading memory in order
}

// LimitMeter measures the limits, as often as wanted: other programs change the speed of a
// machine, so that kernels and limits should be measured in turns. It holds 256 MB of memory.
type LimitMeter struct {
	pool *parallel.Pool
	buf  []byte
}

// limitBytes is the memory that is read to measure Limits.Read, and limitPart what one
// chunk of that work reads.
const limitBytes, limitPart = 256 << 20, 128 << 10

// NewLimitMeter makes a meter that measures with all threads of the pool.
func NewLimitMeter(p *parallel.Pool) *LimitMeter {
	m := &LimitMeter{pool: p, buf: make([]byte, limitBytes)}
	for i := 0; i < limitBytes; i += 4096 {
		m.buf[i] = 1 // the operating system gives memory to a page when it is first written
	}
	return m
}

// Measure measures the limits. It takes about 20 ms, which is long enough that the time to
// wake threads does not matter.
func (m *LimitMeter) Measure() Limits {
	var l Limits
	p := m.pool
	if ops, ok := peakInt8(p); ok {
		l.Int8 = ops
	}
	if ops, ok := peakFMA(p); ok {
		l.FMA = ops
	}
	start := time.Now()
	p.RunStreams(limitBytes/limitPart, func(i int) { readBytes(m.buf[i*limitPart:][:limitPart]) })
	l.Read = limitBytes / time.Since(start).Seconds()
	return l
}

// MeasureLimits measures `rounds` times and returns the highest speed of each kind.
func MeasureLimits(p *parallel.Pool, rounds int) Limits {
	m := NewLimitMeter(p)
	l := m.Measure()
	for range rounds - 1 {
		n := m.Measure()
		l = Limits{Int8: max(l.Int8, n.Int8), FMA: max(l.FMA, n.FMA), Read: max(l.Read, n.Read)}
	}
	return l
}

// PeakFMA measures [Limits].FMA alone, for about 5 ms. It returns false if there is no loop
// for the active tier.
func PeakFMA(p *parallel.Pool) (float64, bool) { return peakFMA(p) }

// timed runs fn, which does so many operations, on every thread of the pool and returns the
// operations per second of all of them together.
func timed(p *parallel.Pool, operations int, fn func()) float64 {
	start := time.Now()
	p.Run(p.Threads(), func(int) { fn() })
	return float64(operations*p.Threads()) / time.Since(start).Seconds()
}

// readBytesPortable reads one byte of every cache line.
func readBytesPortable(b []byte) byte {
	var sum byte
	for i := 0; i < len(b); i += 64 {
		sum += b[i]
	}
	return sum
}
