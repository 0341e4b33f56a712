package branch

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

func fold(y, x []float32) { foldGo(y, x, 0, len(x)/4) }

// foldDots is [foldDotsGo] on the active tier. n is a multiple of 16.
func foldDots(out *[foldTokens][8]float32, data, x []float32, ldx, n, tokens int) {
	if cpu.Active() < cpu.NEON {
		foldDotsGo(out, data, x, ldx, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	for t := range tokens {
		var lanes [128]float32
		foldDotNEON(&lanes, unsafe.Pointer(&data[0]), unsafe.Pointer(&x[t*ldx]), n/16)
		foldLanes(&out[t], &lanes)
	}
}

// storedDots is [storedDotsGo] on the active tier. n is a multiple of 16, not 0.
func storedDots(out *[foldTokens][8]float32, data []uint16, x []float32, ldx, n, tokens int) {
	if cpu.Active() < cpu.NEON {
		storedDotsGo(out, data, x, ldx, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	for t := range tokens {
		var lanes [128]float32
		storedDotNEON(&lanes, unsafe.Pointer(&data[0]), unsafe.Pointer(&x[t*ldx]), n/16)
		foldLanes(&out[t], &lanes)
	}
}

// storedOut is [storedOutGo] on the active tier. n is a multiple of 16, not 0.
func storedOut(x []float32, ldx int, data []uint16, z *[foldTokens][8]float32, n, tokens int) {
	if cpu.Active() < cpu.NEON {
		storedOutGo(x, ldx, data, z, n, tokens)
		return
	}
	_, _ = data[n*8-1], x[(tokens-1)*ldx+n-1]
	for t := range tokens {
		storedOutNEON(unsafe.Pointer(&x[t*ldx]), unsafe.Pointer(&data[0]), &z[t], n/16)
	}
}
