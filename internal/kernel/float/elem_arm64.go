package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

func hasElem() bool { return cpu.Active() >= cpu.NEON }

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
	if n > 0 {
		expNEON(first(x), n/16)
	}
	return n
}

// maxScaled returns the largest scale·x; len(x) is a multiple of 16.
func maxScaled(x []float32, scale float32) float32 {
	return maxScaledNEON(first(x), scale, len(x)/16)
}

// expSum replaces x by exp(scale·x − top) and adds the results to the lanes; len(x) is a
// multiple of 16.
func expSum(x []float32, scale, top float32, lanes *[16]float64) {
	if len(x) > 0 {
		expSumNEON(first(x), scale, top, unsafe.Pointer(lanes), len(x)/16)
	}
}

func normalizeBlocks(x []float32, inv float32) int {
	n := elemBlocks(len(x))
	if n > 0 {
		normalizeNEON(first(x), inv, n/16)
	}
	return n
}

func swigluBlocks(gate, up []float32) int {
	n := elemBlocks(len(gate))
	if n > 0 {
		swigluNEON(first(gate), first(up), n/16)
	}
	return n
}

func addBlocks(x, y []float32) int {
	n := elemBlocks(len(x))
	if n > 0 {
		addNEON(first(x), first(y), n/16)
	}
	return n
}

func mulScaledBlocks(dst, x, weight []float32, inv float32) int {
	n := elemBlocks(len(x))
	if n > 0 {
		mulScaledNEON(first(dst), first(x), first(weight), inv, n/16)
	}
	return n
}

func ropeBlocks(lo, hi, cos, sin []float32) int {
	n := elemBlocks(len(cos))
	if n > 0 {
		ropeNEON(first(lo), first(hi), first(cos), first(sin), n/16)
	}
	return n
}
