package kernel

// Hadamard multiplies x by scale and by the Walsh-Hadamard matrix of its length,
// a power of two, in natural (Sylvester) order: H₁ = 1, H₂ₙ = [H H; H −H]. It
// reports false and leaves x alone where the length is not a power of two. All
// tiers agree to the bit.
func Hadamard(x []float32, scale float32) bool {
	n := len(x)
	if n == 0 || n&(n-1) != 0 {
		return false
	}
	if !hadamardBlocks(x, scale) {
		hadamardGo(x, scale)
	}
	return true
}

func hadamardGo(x []float32, scale float32) {
	for i := range x {
		x[i] *= scale
	}
	for h := 1; h < len(x); h *= 2 {
		for i := 0; i < len(x); i += 2 * h {
			lo, hi := x[i:i+h], x[i+h:i+2*h]
			for j, a := range lo {
				b := hi[j]
				lo[j], hi[j] = a+b, a-b
			}
		}
	}
}
