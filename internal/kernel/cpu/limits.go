package cpu

import (
	"time"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Limits are the highest speeds of this machine's cores and memory, measured by loops
// that do nothing else, to compare the speed of kernels with.
type Limits struct {
	Int8 float64 // int8 multiply-adds on vector registers (not on AMX's matrices), two operations each, a second; 0: no such loop for this CPU
	FMA  float64 // float32 multiply-adds on registers, two operations each, a second; 0: likewise
	Read float64 // bytes a second read in order from memory
}

// LimitMeter measures the limits again and again, between the runs that they
// are to be compared with. It holds 256 MB of memory.
type LimitMeter struct {
	pool *parallel.Pool
	buf  []byte
}

const limitBytes, limitPart = 256 << 20, 128 << 10

// NewLimitMeter makes a meter for all threads of the pool.
func NewLimitMeter(p *parallel.Pool) *LimitMeter {
	m := &LimitMeter{pool: p, buf: make([]byte, limitBytes)}
	for i := 0; i < limitBytes; i += 4096 {
		m.buf[i] = 1 // a page of its own
	}
	return m
}

// Measure takes about 20 ms: long enough that no thread is still waking up.
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

// MeasureLimits takes the best of `rounds` turns of a [LimitMeter].
func MeasureLimits(p *parallel.Pool, rounds int) Limits {
	m := NewLimitMeter(p)
	l := m.Measure()
	for range rounds - 1 {
		n := m.Measure()
		l = Limits{Int8: max(l.Int8, n.Int8), FMA: max(l.FMA, n.FMA), Read: max(l.Read, n.Read)}
	}
	return l
}

// PeakFMA measures [Limits].FMA for some 5 ms; false: no such loop for this CPU.
func PeakFMA(p *parallel.Pool) (float64, bool) { return peakFMA(p) }

// timed runs fn on every thread and returns operations a second.
func timed(p *parallel.Pool, operations int, fn func()) float64 {
	start := time.Now()
	p.Run(p.Threads(), func(int) { fn() })
	return float64(operations*p.Threads()) / time.Since(start).Seconds()
}

// readBytesPortable touches every cache line.
func readBytesPortable(b []byte) byte {
	var sum byte
	for i := 0; i < len(b); i += 64 {
		sum += b[i]
	}
	return sum
}
