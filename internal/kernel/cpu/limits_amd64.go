package cpu

import "github.com/specquant/specquant/internal/kernel/parallel"

// peakInt8 measures [Limits].Int8 for about 5 ms; false if the active tier has no loop for it.
func peakInt8(p *parallel.Pool) (float64, bool) {
	if Active() < AVX512VNNI {
		return 0, false
	}
	const n = 1_500_000 // rounds: about 5 ms
	return timed(p, n*24*64*2, func() { intPeakVNNI(n) }), true
}

// peakFMA measures [Limits].FMA for about 5 ms; false if the active tier has no loop for it.
func peakFMA(p *parallel.Pool) (float64, bool) {
	const n = 1_500_000 // rounds: about 5 ms
	switch {
	case Active() >= AVX512:
		return timed(p, n*24*16*2, func() { peakFMAavx512(n) }), true
	case Active() >= AVX2:
		return timed(p, n*12*8*2, func() { peakFMAavx2(n) }), true
	}
	return 0, false
}

// readBytes reads all of b once, in order.
func readBytes(b []byte) {
	if Active() >= AVX2 {
		intReadAVX2(&b[0], len(b)&^255)
		return
	}
	readBytesPortable(b)
}
