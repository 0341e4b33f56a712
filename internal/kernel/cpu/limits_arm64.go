package cpu

import "github.com/specquant/specquant/internal/kernel/parallel"

// Loops that measure the machine's limits: see limits_arm64.s.

func peakInt8(p *parallel.Pool) (float64, bool) {
	if Active() < NEONDot {
		return 0, false
	}
	const n = 1_000_000 // some ms
	return timed(p, n*24*16*2, func() { intDotPeak(n) }), true
}

func peakFMA(p *parallel.Pool) (float64, bool) {
	if Active() < NEON {
		return 0, false
	}
	const n = 1_000_000
	return timed(p, n*24*4*2, func() { peakFMANEON(n) }), true
}

func readBytes(b []byte) {
	if n := len(b) &^ 255; n > 0 && Active() >= NEON {
		intReadNEON(&b[0], n)
		return
	}
	readBytesPortable(b)
}
