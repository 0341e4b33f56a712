package kernel

// Loops that measure the machine's limits: see limits_arm64.s.

func (p *Pool) peakInt8() (float64, bool) {
	if Active() < NEONDot {
		return 0, false
	}
	const n = 1_000_000 // some ms
	return p.timed(n*24*16*2, func() { intDotPeak(n) }), true
}

func (p *Pool) peakFMA() (float64, bool) {
	if Active() < NEON {
		return 0, false
	}
	const n = 1_000_000
	return p.timed(n*24*4*2, func() { peakFMANEON(n) }), true
}

func readBytes(b []byte) {
	if n := len(b) &^ 255; n > 0 && Active() >= NEON {
		intReadNEON(&b[0], n)
		return
	}
	readBytesPortable(b)
}
