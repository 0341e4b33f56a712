package branch

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// fold writes the folded values of x, a multiple of 64, class by class into y.
func fold(y, x []float32) {
	n := len(x)
	tier := cpu.Active()
	if tier < cpu.AVX2 {
		foldGo(y, x, 0, n/4)
		return
	}
	foldGo(y, x, 0, 16) // the first term has no mirror image
	_ = y[n-1]
	if tier >= cpu.AVX512 {
		foldavx512(unsafe.Pointer(&y[0]), unsafe.Pointer(&x[0]), n)
	} else {
		foldavx2(unsafe.Pointer(&y[0]), unsafe.Pointer(&x[0]), n)
	}
}

// foldDots is [foldDotsGo] on the active tier. n is a multiple of 16.
func foldDots(out *[foldTokens][8]float32, data, x []float32, ldx, n, tokens int) {
	tier := cpu.Active()
	if tier < cpu.AVX2 {
		foldDotsGo(out, data, x, ldx, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	pd := unsafe.Pointer(&data[0])
	if tier >= cpu.AVX512 && tokens == foldTokens {
		foldDot3avx512(out, pd, unsafe.Pointer(&x[0]), 4*ldx, n/16)
		return
	}
	for t := range tokens {
		px := unsafe.Pointer(&x[t*ldx])
		if tier >= cpu.AVX512 {
			foldDot1avx512(&out[t], pd, px, n/16)
			continue
		}
		var lanes [128]float32
		foldDot1avx2(&lanes, pd, px, n/16)
		foldLanes(&out[t], &lanes)
	}
}
