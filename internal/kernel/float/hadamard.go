package float

import "fmt"

// hadamardChunk is the number of elements that go through all stages of the transform
// before the next ones do: few enough to stay in a core's first-level cache.
const hadamardChunk = 4096

// Hadamard multiplies each block [n × w] of x from the left by scale·H, where H is the
// Walsh-Hadamard matrix of order n in natural (Sylvester) order: H₁ = 1,
// H₂ₙ = [Hₙ Hₙ; Hₙ −Hₙ]. With w = 1 it transforms vectors of n numbers; with a larger w
// it transforms the w columns of each block. n must be a power of two, and n·w must
// divide the length of x. All tiers agree to the bit, and the result of a block does not
// depend on other blocks.
//
// The transform has log₂ n stages. The stage of distance h replaces each pair of numbers
// a, b that are h apart, in groups of 2h, by a+b and a−b.
func Hadamard(x []float32, n, w int, scale float32) {
	if n < 1 || n&(n-1) != 0 || w < 1 || len(x)%(n*w) != 0 {
		panic(fmt.Sprintf("kernel: Hadamard transform of order %d × %d on %d numbers", n, w, len(x)))
	}
	chunk := max(1, hadamardChunk/(n*w)) * n * w
	for len(x) > 0 {
		part := x[:min(chunk, len(x))]
		x = x[len(part):]
		h := w // the distance of the next stage
		if w == 1 && n >= 16 && hadamard16Blocks(part, scale) > 0 {
			h = 16 // the scale and the stages of distance 1, 2, 4 and 8 are done
		} else {
			for i := scaleBlocks(part, scale); i < len(part); i++ {
				part[i] *= scale
			}
		}
		if h%16 == 0 { // the assembly does two stages at a time, and one that is left
			for 4*h <= n*w && hadamard4(part, h, len(part)/(4*h)) {
				h *= 4
			}
			if 2*h <= n*w && hadamard2(part, h, len(part)/(2*h)) {
				h *= 2
			}
		}
		hadamardGo(part, h, n*w)
	}
}

// PaleyPairs replaces each pair of rows a, b [w] of x by s = a+b and d = a−b, and sets the
// same rows of dst to d and −s: what a Hadamard matrix C ⊗ [1 1; 1 −1] + I ⊗ [1 −1; −1 −1]
// makes of x is C, for pairs of rows, times x afterwards, added to dst. All tiers agree to
// the bit.
func PaleyPairs(dst, x []float32, w int) {
	if w < 1 || len(x)%(2*w) != 0 || len(dst) < len(x) {
		panic(fmt.Sprintf("kernel: pairs of rows of %d in %d numbers, to %d", w, len(x), len(dst)))
	}
	if len(x) == 0 || w%16 == 0 && paleyPairs(dst, x, w, len(x)/(2*w)) {
		return
	}
	for i := 0; i < len(x); i += 2 * w {
		a, b := x[i:i+w], x[i+w:i+2*w]
		first, second := dst[i:i+w], dst[i+w:i+2*w]
		for j, v := range a {
			s, d := v+b[j], v-b[j]
			a[j], b[j] = s, d
			first[j], second[j] = d, 0-s
		}
	}
}

// hadamardGo does the stages of distance h, 2h, 4h, … below end.
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
