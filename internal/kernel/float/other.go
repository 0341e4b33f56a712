//go:build !amd64 && !arm64

package float

// Machines without assembly run the portable definitions.

// transposeBlocks and transposeBlocks64 transpose nothing and leave all to [transposeGo].
func transposeBlocks(dst []float32, ldd int, src []byte, d DType, lds, rows, cols int) (r, c int) {
	return 0, 0
}

func transposeBlocks64(dst []float64, ldd int, src []float64, lds, rows, cols int) (r, c int) {
	return 0, 0
}

// MinMaxAbs is [minMaxAbsGo].
func MinMaxAbs(x []float32) (lo, hi float32, abs uint32) { return minMaxAbsGo(x) }
