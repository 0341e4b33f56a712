package kernel

// Sums have an order that depends on the length and on whether the tier has
// assembly, on nothing else.

// Dot is Σ a[i]·b[i].
func Dot(a, b []float32) float32 {
	sameLen(len(a), len(b))
	sum, n := dotBlocks(a, b)
	a, b = a[n:], b[n:]
	var s [8]float32
	i := 0
	for ; i+8 <= len(a); i += 8 {
		x, y := a[i:][:8], b[i:][:8]
		for l := range s {
			s[l] += float32(x[l] * y[l])
		}
	}
	sum += ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))
	for ; i < len(a); i++ {
		sum += float32(a[i] * b[i])
	}
	return sum
}

// SumSquares is Σ x[i]², summed in float64.
func SumSquares(x []float32) float64 {
	sum, n := sumSquaresBlocks(x)
	x = x[n:]
	var s [4]float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		for l := range s {
			v := float64(x[i+l])
			s[l] += v * v // the product is exact: fused or not is the same
		}
	}
	sum += (s[0] + s[2]) + (s[1] + s[3])
	for ; i < len(x); i++ {
		sum += float64(x[i]) * float64(x[i])
	}
	return sum
}

// Axpy adds a·x to y.
func Axpy(y []float32, a float32, x []float32) {
	sameLen(len(y), len(x))
	for i := axpyBlocks(y, a, x); i < len(x); i++ {
		y[i] += float32(a * x[i])
	}
}

// AxpyF16 adds a·x to y, x being IEEE binary16.
func AxpyF16(y []float32, a float32, x []uint16) {
	sameLen(len(y), len(x))
	for i := axpyF16Blocks(y, a, x); i < len(x); i++ {
		y[i] += float32(a * f16ToF32(x[i]))
	}
}
