package kernel

import "time"

// Limits are what this machine's cores and memory can do at most, measured by
// loops that do nothing else: a speed means something only beside them.
type Limits struct {
	Int8 float64 // int8 multiply-adds on registers, two operations each, a second; 0: no such loop for this CPU
	FMA  float64 // float32 multiply-adds on registers, two operations each, a second; 0: likewise
	Read float64 // bytes a second read in order from memory
}

// MeasureLimits runs the loops on all threads of the pool and takes the best of
// `rounds` turns. It needs 256 MB of memory and about 30 ms a round.
func (p *Pool) MeasureLimits(rounds int) Limits {
	const size, part = 256 << 20, 128 << 10
	buf := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		buf[i] = 1 // a page of its own
	}
	var l Limits
	for range max(rounds, 1) {
		if ops, ok := p.peakInt8(); ok {
			l.Int8 = max(l.Int8, ops)
		}
		if ops, ok := p.peakFMA(); ok {
			l.FMA = max(l.FMA, ops)
		}
		start := time.Now()
		p.Run(size/part, func(i int) { readBytes(buf[i*part:][:part]) })
		l.Read = max(l.Read, size/time.Since(start).Seconds())
	}
	return l
}

// timed runs fn on every thread and returns operations a second.
func (p *Pool) timed(operations int, fn func()) float64 {
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
