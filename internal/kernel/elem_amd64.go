package kernel

import "unsafe"

// Element-wise operations in assembly, on 16·blocks numbers: see elem.go.

//go:noescape
func expavx512(x unsafe.Pointer, blocks int)

//go:noescape
func expavx2(x unsafe.Pointer, blocks int)

//go:noescape
func maxScaledavx512(x unsafe.Pointer, scale float32, blocks int) float32

//go:noescape
func maxScaledavx2(x unsafe.Pointer, scale float32, blocks int) float32

//go:noescape
func expSumavx512(x unsafe.Pointer, scale, top float32, lanes unsafe.Pointer, blocks int)

//go:noescape
func expSumavx2(x unsafe.Pointer, scale, top float32, lanes unsafe.Pointer, blocks int)

//go:noescape
func normalizeavx512(x unsafe.Pointer, inv float32, blocks int)

//go:noescape
func normalizeavx2(x unsafe.Pointer, inv float32, blocks int)

//go:noescape
func swigluavx512(gate, up unsafe.Pointer, blocks int)

//go:noescape
func swigluavx2(gate, up unsafe.Pointer, blocks int)

//go:noescape
func addavx512(x, y unsafe.Pointer, blocks int)

//go:noescape
func addavx2(x, y unsafe.Pointer, blocks int)

//go:noescape
func mulScaledavx512(dst, x, weight unsafe.Pointer, scale float32, blocks int)

//go:noescape
func mulScaledavx2(dst, x, weight unsafe.Pointer, scale float32, blocks int)

//go:noescape
func ropeavx512(lo, hi, cos, sin unsafe.Pointer, blocks int)

//go:noescape
func ropeavx2(lo, hi, cos, sin unsafe.Pointer, blocks int)

func hasElem() bool { return Active() >= AVX2 }

// first is the address of a vector's data.
func first(x []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }

// elemBlocks is how many of n numbers the assembly takes.
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
	case Active() >= AVX512:
		expavx512(first(x), n/16)
	default:
		expavx2(first(x), n/16)
	}
	return n
}

// maxScaled is the largest scale·x; len(x) is a multiple of 16, and not 0.
func maxScaled(x []float32, scale float32) float32 {
	if Active() >= AVX512 {
		return maxScaledavx512(first(x), scale, len(x)/16)
	}
	return maxScaledavx2(first(x), scale, len(x)/16)
}

// expSum replaces x by exp(scale·x-top) and adds the results to the lanes;
// len(x) is a multiple of 16.
func expSum(x []float32, scale, top float32, lanes *[16]float64) {
	switch {
	case len(x) == 0:
	case Active() >= AVX512:
		expSumavx512(first(x), scale, top, unsafe.Pointer(lanes), len(x)/16)
	default:
		expSumavx2(first(x), scale, top, unsafe.Pointer(lanes), len(x)/16)
	}
}

func normalizeBlocks(x []float32, inv float32) int {
	n := elemBlocks(len(x))
	switch {
	case n == 0:
	case Active() >= AVX512:
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
	case Active() >= AVX512:
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
	case Active() >= AVX512:
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
	case Active() >= AVX512:
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
	case Active() >= AVX512:
		ropeavx512(first(lo), first(hi), first(cos), first(sin), n/16)
	default:
		ropeavx2(first(lo), first(hi), first(cos), first(sin), n/16)
	}
	return n
}
