package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

func hasElem() bool { return cpu.Active() >= cpu.AVX2 }

// first is the address of a vector's data.
func first(x []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }

// elemBlocks returns how many of n numbers the assembly takes.
func elemBlocks(n int) int {
	if !hasElem() {
		return 0
	}
	return n &^ 15
}

func expBlocks(x []float32) int {
	n := elemBlocks(len(x))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		expavx512(first(x), n/16)
	default:
		expavx2(first(x), n/16)
	}
	return n
}

// maxScaled is the largest scale·x; len(x) is a multiple of 16, and not 0.
func maxScaled(x []float32, scale float32) float32 {
	if cpu.Active() >= cpu.AVX512 {
		return maxScaledavx512(first(x), scale, len(x)/16)
	}
	return maxScaledavx2(first(x), scale, len(x)/16)
}

// expSum replaces x by exp(scale·x-top) and adds the results to the lanes;
// len(x) is a multiple of 16.
func expSum(x []float32, scale, top float32, lanes *[16]float64) {
	switch {
	case len(x) == 0:
	case cpu.Active() >= cpu.AVX512:
		expSumavx512(first(x), scale, top, unsafe.Pointer(lanes), len(x)/16)
	default:
		expSumavx2(first(x), scale, top, unsafe.Pointer(lanes), len(x)/16)
	}
}

func normalizeBlocks(x []float32, inv float32) int {
	n := elemBlocks(len(x))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		normalizeavx512(first(x), inv, n/16)
	default:
		normalizeavx2(first(x), inv, n/16)
	}
	return n
}

func swigluBlocks(gate, up []float32) int {
	n := elemBlocks(len(gate))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		swigluavx512(first(gate), first(up), n/16)
	default:
		swigluavx2(first(gate), first(up), n/16)
	}
	return n
}

func addBlocks(x, y []float32) int {
	n := elemBlocks(len(x))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		addavx512(first(x), first(y), n/16)
	default:
		addavx2(first(x), first(y), n/16)
	}
	return n
}

func mulScaledBlocks(dst, x, weight []float32, scale float32) int {
	n := elemBlocks(len(x))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		mulScaledavx512(first(dst), first(x), first(weight), scale, n/16)
	default:
		mulScaledavx2(first(dst), first(x), first(weight), scale, n/16)
	}
	return n
}

func ropeBlocks(lo, hi, cos, sin []float32) int {
	n := elemBlocks(len(lo))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		ropeavx512(first(lo), first(hi), first(cos), first(sin), n/16)
	default:
		ropeavx2(first(lo), first(hi), first(cos), first(sin), n/16)
	}
	return n
}
