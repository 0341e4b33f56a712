package float

import "fmt"

// hadamardChunk is how many numbers go through all stages before the next ones do: few
// enough to stay in the first-level cache.
const hadamardChunk = 4096

// Hadamard takes x as blocks [n × w] and multiplies each from the left by scale
// and by the Walsh-Hadamard matrix of order n in natural (Sylvester) order:
// H₁ = 1, H₂ₙ = [H H; H −H]. So w = 1 transforms rows of n numbers, and a larger
// w runs across the n rows of each block. n must be a power of two and n·w must
// divide the length. All tiers agree to the bit, and a block does not depend on
// those beside it.
func Hadamard(x []float32, n, w int, scale float32) {
	if n < 1 || n&(n-1) != 0 || w < 1 || len(x)%(n*w) != 0 {
		panic(fmt.Sprintf("kernel: Hadamard transform of order %d × %d on %d numbers", n, w, len(x)))
	}
	chunk := max(1, hadamardChunk/(n*w)) * n * w
	for len(x) > 0 {
		part := x[:min(chunk, len(x))]
		x = x[len(part):]
		h := w // the distance of the next stage
		if w == 1 && n >= 16 && hadamardBlocks(part, scale) {
			h = 16
		} else {
			for i := scaleBlocks(part, scale); i < len(part); i++ {
				part[i] *= scale
			}
		}
		if h%16 != 0 || !hadamardStages(part, h, n*w) {
			hadamardGo(part, h, n*w)
		}
	}
}

// hadamardGo does the stages of distance h, 2h, … below end.
func hadamardGo(x []float32, h, end int) {
	for ; h < end; h *= 2 {
		for i := 0; i < len(x); i += 2 * h {
			lo, hi := x[i:i+h], x[i+h:i+2*h]
			for j, a := range lo {
				b := hi[j]
				lo[j], hi[j] = a+b, a-b
			}
		}
	}
}
