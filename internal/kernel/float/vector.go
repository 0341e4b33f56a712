package float

// SumSquares returns Σ x[i]², added up in float64. The order of the additions depends on
// the length of x and on whether the active tier has assembly, and on nothing else.
func SumSquares(x []float32) float64 {
	n, sum := sumSquaresBlocks(x)
	x = x[n:]
	var s [4]float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		for l := range s {
			v := float64(x[i+l])
			s[l] += v * v // the product is exact, so that fusing changes nothing
		}
	}
	sum += (s[0] + s[2]) + (s[1] + s[3])
	for ; i < len(x); i++ {
		sum += float64(x[i]) * float64(x[i])
	}
	return sum
}

// Finite reports whether no value is NaN or infinite.
func Finite(x []float32) bool {
	_, _, abs := MinMaxAbs(x)
	return abs < notFinite
}

// Axpy adds a·x to y.
func Axpy(y []float32, a float32, x []float32) {
	sameLen(len(y), len(x))
	for i := axpyBlocks(y, a, x); i < len(x); i++ {
		y[i] += float32(a * x[i])
	}
}

// AxpyF16 adds a·x to y, where the elements of x are IEEE binary16.
func AxpyF16(y []float32, a float32, x []uint16) {
	sameLen(len(y), len(x))
	for i := axpyF16Blocks(y, a, x); i < len(x); i++ {
		y[i] += float32(a * f16ToF32(x[i]))
	}
}
