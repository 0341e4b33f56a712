package branch

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// storedDots is [storedDotsGo] on the active tier. n is a multiple of 16, not 0.
func storedDots(out *[foldTokens][8]float32, data []uint16, x []float32, ldx, n, tokens int) {
	tier := cpu.Active()
	if tier < cpu.AVX2 {
		storedDotsGo(out, data, x, ldx, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	pd := unsafe.Pointer(&data[0])
	if tier >= cpu.AVX512 && tokens == foldTokens {
		storedDot3avx512(out, pd, unsafe.Pointer(&x[0]), 4*ldx, n/16)
		return
	}
	for t := range tokens {
		px := unsafe.Pointer(&x[t*ldx])
		if tier >= cpu.AVX512 {
			storedDot1avx512(&out[t], pd, px, n/16)
			continue
		}
		var lanes [128]float32
		storedDot1avx2(&lanes, pd, px, n/16)
		foldLanes(&out[t], &lanes)
	}
}

// storedOut is [storedOutGo] on the active tier. n is a multiple of 16, not 0.
func storedOut(x []float32, ldx int, data []uint16, z *[foldTokens][8]float32, n, tokens int) {
	tier := cpu.Active()
	if tier < cpu.AVX2 {
		storedOutGo(x, ldx, data, z, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	pd := unsafe.Pointer(&data[0])
	if tier >= cpu.AVX512 && tokens == foldTokens {
		storedOut3avx512(unsafe.Pointer(&x[0]), 4*ldx, pd, z, n/16)
		return
	}
	for t := range tokens {
		px := unsafe.Pointer(&x[t*ldx])
		if tier >= cpu.AVX512 {
			storedOut1avx512(px, pd, &z[t], n/16)
		} else {
			storedOut1avx2(px, pd, &z[t], n/16)
		}
	}
}
