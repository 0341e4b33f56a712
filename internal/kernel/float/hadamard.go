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
		h := 0 // the distance of the next stage
		if w == 1 {
			h = hadamardRows(part, n, scale)
		}
		if h == 0 {
			h = w
			for i := scaleBlocks(part, scale); i < len(part); i++ {
				part[i] *= scale
			}
		}
		hadamardStages(part, h, n*w)
	}
}

// HadamardTo is Hadamard for vectors: it sets each n numbers of dst to those of src, which may be
// dst, times scale·H.
func HadamardTo(dst, src []float32, n int, scale float32) {
	if n < 1 || n&(n-1) != 0 || len(src)%n != 0 || len(dst) < len(src) {
		panic(fmt.Sprintf("kernel: Hadamard transform of order %d on %d numbers, to %d", n, len(src), len(dst)))
	}
	chunk := max(1, hadamardChunk/n) * n
	for len(src) > 0 {
		from, to := src[:min(chunk, len(src))], dst[:min(chunk, len(src))]
		src, dst = src[len(from):], dst[len(from):]
		if h := hadamardTo(to, from, n, scale); h > 0 {
			hadamardStages(to, h, n)
			continue
		}
		copy(to, from)
		Hadamard(to, n, 1, scale)
	}
}

// hadamardRows does the scale and the first stages for vectors of n numbers, as many as keep them
// in registers, and returns the distance of the next stage. It does nothing and returns 0 if the
// tier has no routine.
func hadamardRows(x []float32, n int, scale float32) int {
	if h := hadamardTo(x, x, n, scale); h > 0 {
		return h
	}
	if n >= 16 && hadamard16Blocks(x, scale) > 0 {
		return 16
	}
	return 0
}

// hadamardTo is hadamardRows with the results in dst, for tiers that have this.
func hadamardTo(dst, src []float32, n int, scale float32) int {
	switch {
	case n >= 128 && hadamard128(dst, src, scale, len(src)/128):
		return 128
	case n == 64 && hadamard64(dst, src, scale, len(src)/64):
		return 64
	case n == 32 && hadamard32(dst, src, scale, len(src)/32):
		return 32
	}
	return 0
}

// hadamardStages does the stages of distance h, 2h, 4h, … below end.
func hadamardStages(x []float32, h, end int) {
	if h%16 == 0 { // the assembly does two stages at a time, and one that is left
		for 4*h <= end && hadamard4(x, h, len(x)/(4*h)) {
			h *= 4
		}
		if 2*h <= end && hadamard2(x, h, len(x)/(2*h)) {
			h *= 2
		}
	}
	hadamardGo(x, h, end)
}

// HadamardColumns multiplies src [16 × k] from the left by scale·H, H the Walsh-Hadamard matrix of
// order 16, and sets dst [k × 16] to the transpose of the result. All tiers agree to the bit.
func HadamardColumns(dst, src []float32, k int, scale float32) {
	if k < 1 || len(src) != 16*k || len(dst) != 16*k {
		panic(fmt.Sprintf("kernel: transforms of %d columns of 16 in %d numbers, to %d", k, len(src), len(dst)))
	}
	if k%4 == 0 && hadamardColumns(dst, src, scale, k) {
		return
	}
	Transpose(dst, 16, src, k, 16, k)
	Hadamard(dst, 16, 1, scale)
}

// ColumnsToRows sets dst [16 × k] to the transpose of src [k × 16].
func ColumnsToRows(dst, src []float32, k int) {
	if k < 1 || len(src) != 16*k || len(dst) != 16*k {
		panic(fmt.Sprintf("kernel: transpose of %d rows of 16 in %d numbers, to %d", k, len(src), len(dst)))
	}
	if k%4 != 0 || !columnsToRows(dst, src, k) {
		Transpose(dst, k, src, 16, k, 16)
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
