package float

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Element-wise operations of a transformer block. The Go code below defines
// them to the bit: the assembly rounds after each multiplication and addition
// as it does, and fuses the two only where the product is exact. All tiers
// agree, and an element does not depend on its place in the vector.

// exp(x) = 2ⁿ·exp(r), n the integer nearest to x/ln 2, |r| ≤ ln 2/2. ln 2 is
// split into two numbers of at most 16 bits, whose products with n are exact.
// The polynomial (exp(r)-1-r)/r² interpolates at the Chebyshev nodes; its error
// is below 1e-8 of exp(r), and the result's below 1.2e-7.
const (
	expLog2e = 1.44269504
	expMagic = 0x1.8p23 // adding it rounds to an integer, in the lowest bits
	expLn2Hi = 0x1.62e4p-1
	expLn2Lo = 49087 * 0x1p-35
	expC2    = 0.5
	expC3    = 0.16666576
	expC4    = 0.041666552
	expC5    = 0.008363233
	expC6    = 0.001392625

	expLowest  = -87.33 // below it the result is 0: no subnormal numbers
	expHighest = 88.72283
	leastFloat = 0x1p-126 // the smallest normal number
)

func exp32(x float32) float32 {
	if x < expLowest {
		return 0
	}
	if !(x <= expHighest) {
		return x + float32(math.Inf(1)) // infinite, or NaN
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

// Exp replaces each element by its exponential, with a relative error below
// 1.2e-7. Below -87.33 it is 0, above 88.7228 infinite; a NaN stays one.
func Exp(x []float32) {
	n := expBlocks(x)
	if tail := x[n:]; hasElem() {
		var b [16]float32
		copy(b[:], tail)
		expBlocks(b[:])
		copy(tail, b[:])
		return
	}
	for i, v := range x {
		x[i] = exp32(v)
	}
}

// Softmax replaces x by the softmax of scale·x. Exponentials are summed in
// float64, in 16 lanes by index modulo 16; a probability below 2⁻¹²⁶ is 0. The
// relative error is below 4e-7 plus that of rounding scale·x. If an element is
// NaN or scale·x infinite at the top, all are NaN.
func Softmax(x []float32, scale float32) {
	if len(x) == 0 {
		return
	}
	var lanes, more [16]float64
	var b [16]float32
	if !hasElem() {
		top := scale * x[0]
		for _, v := range x {
			top = max(top, scale*v)
		}
		for i, v := range x {
			x[i] = exp32(float32(scale*v) - top)
			lanes[i&15] += float64(x[i])
		}
		normalizeGo(x, float32(1/fold16(&lanes)))
		return
	}
	whole := len(x) &^ 15
	rest := x[whole:]
	top := float32(math.Inf(-1))
	if whole > 0 {
		top = maxScaled(x[:whole], scale)
	}
	if len(rest) > 0 { // one more block, filled up with what is there anyway
		for i := range b {
			b[i] = rest[0]
		}
		copy(b[:], rest)
		top = max(top, maxScaled(b[:], scale))
		expSum(b[:], scale, top, &more)
		copy(rest, b[:])
	}
	expSum(x[:whole], scale, top, &lanes)
	for i := range rest {
		lanes[i] += more[i]
	}
	inv := float32(1 / fold16(&lanes))
	normalizeGo(x[normalizeBlocks(x, inv):], inv)
}

func normalizeGo(x []float32, inv float32) {
	for i := range x {
		if x[i] *= inv; x[i] < leastFloat {
			x[i] = 0
		}
	}
}

// fold16 adds up lanes in halves.
func fold16(l *[16]float64) float64 {
	for h := 8; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}

// SwiGLU writes silu(gate)·up over gate, silu(g) = g/(1+exp(-g)), with a
// relative error below 4e-7.
func SwiGLU(gate, up []float32) {
	sameLen(len(gate), len(up))
	n := swigluBlocks(gate, up)
	gate, up = gate[n:], up[n:]
	if hasElem() {
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

// AddTo adds y to x.
func AddTo(x, y []float32) {
	sameLen(len(x), len(y))
	for i := addBlocks(x, y); i < len(x); i++ {
		x[i] += y[i]
	}
}

// RMSNorm writes x/√(mean(x²)+eps)·weight for one token; dst and x may be the
// same. The squares are summed in float64 by [SumSquares], so that only the
// roundings of the result count: a relative error below 2e-7.
func RMSNorm(dst, x, weight []float32, eps float64) {
	sameLen(len(dst), len(x))
	sameLen(len(x), len(weight))
	inv := float32(1 / math.Sqrt(SumSquares(x)/float64(len(x))+eps))
	for i := mulScaledBlocks(dst, x, weight, inv); i < len(x); i++ {
		dst[i] = float32(x[i]*inv) * weight[i]
	}
}

// Rope turns one head x [2·half] by the angles of which cos and sin [half] are
// given, in the rotate-half layout: element i with element i+half.
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

// elemChunk is how many elements make a job: some 5 µs of work.
const elemChunk = 16 << 10

// split runs f over fixed chunks of n elements.
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

// RMSNormOn is [RMSNorm] for each of the tokens: dst and x are
// [tokens × len(weight)].
func RMSNormOn(p *parallel.Pool, dst, x, weight []float32, eps float64, tokens int) {
	n := len(weight)
	if n == 0 {
		return
	}
	each := max(1, elemChunk/n) // tokens of a job
	p.Run((tokens+each-1)/each, func(i int) {
		for t := i * each; t < min((i+1)*each, tokens); t++ {
			RMSNorm(dst[t*n:][:n], x[t*n:][:n], weight, eps)
		}
	})
}
