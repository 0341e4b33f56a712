package kernel

func (p *Pool) peakInt8() (float64, bool) {
	if Active() < AVX512VNNI {
		return 0, false
	}
	const n = 1_500_000 // some 5 ms
	return p.timed(n*24*64*2, func() { intPeakVNNI(n) }), true
}

func (p *Pool) peakFMA() (float64, bool) {
	const n = 1_500_000 // some 5 ms
	switch {
	case Active() >= AVX512:
		return p.timed(n*24*16*2, func() { peakFMAavx512(n) }), true
	case Active() >= AVX2:
		return p.timed(n*12*8*2, func() { peakFMAavx2(n) }), true
	}
	return 0, false
}

func readBytes(b []byte) {
	if Active() >= AVX2 {
		intReadAVX2(&b[0], len(b)&^255)
		return
	}
	readBytesPortable(b)
}
