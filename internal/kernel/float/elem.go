package float

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Element-wise operations of a transformer block. The Go code in this file defines
// their results to the bit. The assembly rounds after every multiplication and every
// addition, as the Go code does, and fuses the two only where the product is exact. So
// all tiers agree, and an element's result does not depend on its place in the vector.

// assembly reports whether the active tier has assembly for element-wise operations.
func assembly() bool { return cpu.Active() != cpu.Portable }

// The exponential is computed as exp(x) = 2ⁿ·exp(r), where n is the integer nearest to
// x/ln 2 and |r| ≤ ln 2/2. ln 2 is the sum of two numbers of at most 16 significant bits
// (expLn2Hi and expLn2Lo), so that their products with n are exact. expC2 to expC6 are
// the coefficients of a polynomial for (exp(r)-1-r)/r², interpolated at the Chebyshev
// nodes. Its error is below 1e-8 of exp(r); that of the result is below 1.2e-7.
const (
	expLog2e = 1.44269504
	expMagic = 0x1.8p23 // adding it rounds to an integer, which is then in the lowest bits
	expLn2Hi = 0x1.62e4p-1
	expLn2Lo = 49087 * 0x1p-35
	expC2    = 0.5
	expC3    = 0.16666576
	expC4    = 0.041666552
	expC5    = 0.008363233
	expC6    = 0.001392625

	expLowest  = -87.33   // below it the result is 0, so that no result is subnormal
	expHighest = 88.72283 // above it the result is infinite
	leastFloat = 0x1p-126 // the smallest normal float32
)

// exp32 is the definition of the exponential of one number.
func exp32(x float32) float32 {
	if x < expLowest {
		return 0
	}
	if !(x <= expHighest) {
		return x + float32(math.Inf(1)) // NaN if x is
	}
	t := float32(x*expLog2e) + expMagic
	n := t - expMagic
	r := x - float32(n*expLn2Hi)
	r -= float32(n * expLn2Lo)
	q := float32(expC6*r) + expC5
	q = float32(q*r) + expC4
	q = float32(q*r) + expC3
	q = float32(q*r) + expC2
	p := 1 + (r + float32(q*float32(r*r)))
	return math.Float32frombits(math.Float32bits(p) + math.Float32bits(t)<<23)
}

// Exp replaces each element by its exponential, with a relative error below 1.2e-7. The
// exponential of less than -87.33 is 0, that of more than 88.7228 infinite, that of NaN
// is NaN.
func Exp(x []float32) {
	n := expBlocks(x)
	if tail := x[n:]; assembly() {
		var b [16]float32 // the rest as a whole block, which is faster than one by one
		copy(b[:], tail)
		expBlocks(b[:])
		copy(tail, b[:])
		return
	}
	for i, v := range x {
		x[i] = exp32(v)
	}
}

// Softmax replaces x by the softmax of scale·x. The exponentials are summed in float64,
// in 16 partial sums (lanes): element i is added to lane i modulo 16. A probability below
// 2⁻¹²⁶ becomes 0. The relative error is below 4e-7 plus that of rounding scale·x. If an
// element is NaN, or if the largest scale·x is infinite, all results are NaN.
func Softmax(x []float32, scale float32) {
	if len(x) == 0 {
		return
	}
	if !assembly() {
		softmaxGo(x, scale)
		return
	}
	var lanes, more [16]float64
	var b [16]float32
	whole := len(x) &^ 15
	rest := x[whole:]
	top := float32(math.Inf(-1))
	if whole > 0 {
		_, top = maxScaledBlocks(x, scale)
	}
	if len(rest) > 0 { // as one more block, filled up with copies of one of its elements
		for i := range b {
			b[i] = rest[0]
		}
		copy(b[:], rest)
		_, last := maxScaledBlocks(b[:], scale)
		top = max(top, last)
		expSumBlocks(b[:], scale, top, &more)
		copy(rest, b[:])
	}
	expSumBlocks(x, scale, top, &lanes)
	for i := range rest {
		lanes[i] += more[i]
	}
	inv := float32(1 / fold16(&lanes))
	normalizeGo(x[normalizeBlocks(x, inv):], inv)
}

// softmaxGo is the definition of [Softmax].
func softmaxGo(x []float32, scale float32) {
	var lanes [16]float64
	top := scale * x[0]
	for _, v := range x {
		top = max(top, scale*v)
	}
	for i, v := range x {
		x[i] = exp32(float32(scale*v) - top)
		lanes[i&15] += float64(x[i])
	}
	normalizeGo(x, float32(1/fold16(&lanes)))
}

// normalizeGo multiplies x by inv; products below the smallest normal number become 0.
func normalizeGo(x []float32, inv float32) {
	for i := range x {
		if x[i] *= inv; x[i] < leastFloat {
			x[i] = 0
		}
	}
}

// fold16 adds the upper half of the lanes to the lower one until one number is left.
func fold16(l *[16]float64) float64 {
	for h := 8; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}

// SwiGLU replaces gate by silu(gate)·up, where silu(g) = g/(1+exp(-g)), with a relative
// error below 4e-7.
func SwiGLU(gate, up []float32) {
	sameLen(len(gate), len(up))
	n := swigluBlocks(gate, up)
	gate, up = gate[n:], up[n:]
	if assembly() {
		var g, u [16]float32
		copy(g[:], gate)
		copy(u[:], up)
		swigluBlocks(g[:], u[:])
		copy(gate, g[:])
		return
	}
	for i, g := range gate {
		gate[i] = float32(g/(1+exp32(-g))) * up[i]
	}
}

// SwiGLURows sets rows of dst, ldd values apart, to silu(gate)·up of the rows of gate and up, which have width
// values and follow each other, to the bits of [SwiGLU]. gate may be overwritten.
func SwiGLURows(dst []float32, ldd int, gate, up []float32, width int) {
	rows := gatedRows(dst, ldd, gate, up, width)
	if rows == 0 || width%16 == 0 && swigluRows(dst, 4*ldd, gate, up, width/16, rows) {
		return
	}
	SwiGLU(gate, up)
	copyRows(dst, ldd, gate, width)
}

// gatedRows is the number of rows of width values in gate and up. It panics if these differ, or if
// dst has no room for them.
func gatedRows(dst []float32, ldd int, gate, up []float32, width int) int {
	sameLen(len(gate), len(up))
	rows := len(gate) / max(1, width)
	sameLen(rows*width, len(gate))
	if rows > 0 && (ldd < width || len(dst) < (rows-1)*ldd+width) {
		panic(fmt.Sprintf("kernel: %d rows of %d values, %d apart, into %d", rows, width, ldd, len(dst)))
	}
	return rows
}

// copyRows copies the rows of src, which have width values, to rows of dst that are ldd apart.
func copyRows(dst []float32, ldd int, src []float32, width int) {
	for i := 0; i < len(src); i += width {
		copy(dst[i/width*ldd:][:width], src[i:])
	}
}

// AddTo adds y to x.
func AddTo(x, y []float32) {
	sameLen(len(x), len(y))
	for i := addBlocks(x, y); i < len(x); i++ {
		x[i] += y[i]
	}
}

// RMSNorm sets dst to x/√(mean(x²)+eps)·weight for one token. dst and x may be the same
// memory. [SumSquares] adds the squares in float64, so that only the rounding of the
// result counts: its relative error is below 2e-7.
func RMSNorm(dst, x, weight []float32, eps float64) {
	sameLen(len(dst), len(x))
	sameLen(len(x), len(weight))
	inv := float32(1 / math.Sqrt(SumSquares(x)/float64(len(x))+eps))
	for i := mulScaledBlocks(dst, x, weight, inv); i < len(x); i++ {
		dst[i] = float32(x[i]*inv) * weight[i]
	}
}

// Rope rotates one head x [2·half] by angles whose cosines and sines [half] are given
// (rotary position embedding). Element i is rotated with element i+half, the layout of
// Hugging Face's rotate_half.
func Rope(x, cos, sin []float32) {
	sameLen(len(cos), len(sin))
	sameLen(len(x), 2*len(cos))
	lo, hi := x[:len(cos)], x[len(cos):]
	for i := ropeBlocks(lo, hi, cos, sin); i < len(cos); i++ {
		a, b := lo[i], hi[i]
		lo[i] = float32(a*cos[i]) - float32(b*sin[i])
		hi[i] = float32(b*cos[i]) + float32(a*sin[i])
	}
}

// elemChunk is the number of elements that one chunk of work for a thread has: about
// 5 µs of work.
const elemChunk = 16 << 10

// split cuts 0…n-1 into chunks of [elemChunk] elements and calls f for each of them, on
// the threads of the pool.
func split(p *parallel.Pool, n int, f func(from, to int)) {
	if n <= elemChunk || p.Threads() == 1 {
		f(0, n)
		return
	}
	p.Run((n+elemChunk-1)/elemChunk, func(i int) {
		f(i*elemChunk, min((i+1)*elemChunk, n))
	})
}

// SwiGLUOn is [SwiGLU] on the threads of the pool.
func SwiGLUOn(p *parallel.Pool, gate, up []float32) {
	sameLen(len(gate), len(up))
	split(p, len(gate), func(from, to int) { SwiGLU(gate[from:to], up[from:to]) })
}

// AddToOn is [AddTo] on the threads of the pool.
func AddToOn(p *parallel.Pool, x, y []float32) {
	sameLen(len(x), len(y))
	split(p, len(x), func(from, to int) { AddTo(x[from:to], y[from:to]) })
}

// AddEachOn adds row to each of the rows of x [rows × len(row)], on the threads of the pool.
func AddEachOn(p *parallel.Pool, x, row []float32, rows int) {
	n := len(row)
	if n == 0 {
		return
	}
	each := max(1, elemChunk/n) // rows of a chunk
	p.Run((rows+each-1)/each, func(i int) {
		for r := i * each; r < min((i+1)*each, rows); r++ {
			AddTo(x[r*n:][:n], row)
		}
	})
}

// RMSNormOn is [RMSNorm] for each of the tokens, on the threads of the pool. dst and x
// are [tokens × len(weight)].
func RMSNormOn(p *parallel.Pool, dst, x, weight []float32, eps float64, tokens int) {
	n := len(weight)
	if n == 0 {
		return
	}
	each := max(1, elemChunk/n) // tokens of a chunk
	p.Run((tokens+each-1)/each, func(i int) {
		for t := i * each; t < min((i+1)*each, tokens); t++ {
			RMSNorm(dst[t*n:][:n], x[t*n:][:n], weight, eps)
		}
	})
}
