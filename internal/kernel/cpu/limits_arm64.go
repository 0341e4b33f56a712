package cpu

import "github.com/specquant/specquant/internal/kernel/parallel"

// peakInt8 measures [Limits].Int8 for some ms; false if the active tier has no loop for it.
func peakInt8(p *parallel.Pool) (float64, bool) {
	if Active() < NEONDot {
		return 0, false
	}
	const n = 1_000_000 // rounds
	return timed(p, n*24*16*2, func() { intDotPeak(n) }), true
}

// peakFMA measures [Limits].FMA for some ms; false if the active tier has no loop for it.
func peakFMA(p *parallel.Pool) (float64, bool) {
	if Active() < NEON {
		return 0, false
	}
	const n = 1_000_000
	return timed(p, n*24*4*2, func() { peakFMANEON(n) }), true
}

// readBytes reads all of b once, in order.
func readBytes(b []byte) {
	if n := len(b) &^ 255; n > 0 && Active() >= NEON {
		intReadNEON(&b[0], n)
		return
	}
	readBytesPortable(b)
}
