package branch

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// byteDots is [byteDotsGo] on the active tier. n is a multiple of 16, not 0.
func byteDots(out *[foldTokens][8]float32, data []int8, x []float32, ldx, n, tokens int) {
	tier := cpu.Active()
	if tier < cpu.AVX2 {
		byteDotsGo(out, data, x, ldx, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	pd := unsafe.Pointer(&data[0])
	if tier >= cpu.AVX512 && tokens == foldTokens {
		byteDot3avx512(out, pd, unsafe.Pointer(&x[0]), 4*ldx, n/16)
		return
	}
	for t := range tokens {
		px := unsafe.Pointer(&x[t*ldx])
		if tier >= cpu.AVX512 {
			byteDot1avx512(&out[t], pd, px, n/16)
			continue
		}
		var lanes [128]float32
		byteDot1avx2(&lanes, pd, px, n/16)
		foldLanes(&out[t], &lanes)
	}
}

// byteOut is [byteOutGo] on the active tier. n is a multiple of 16, not 0.
func byteOut(x []float32, ldx int, data []int8, z *[foldTokens][8]float32, n, tokens int) {
	tier := cpu.Active()
	if tier < cpu.AVX2 {
		byteOutGo(x, ldx, data, z, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	pd := unsafe.Pointer(&data[0])
	if tier >= cpu.AVX512 && tokens == foldTokens {
		byteOut3avx512(unsafe.Pointer(&x[0]), 4*ldx, pd, z, n/16)
		return
	}
	for t := range tokens {
		px := unsafe.Pointer(&x[t*ldx])
		if tier >= cpu.AVX512 {
			byteOut1avx512(px, pd, &z[t], n/16)
		} else {
			byteOut1avx2(px, pd, &z[t], n/16)
		}
	}
}
