package kernel

import "math"

// intTokenPad is the number of rows of zeros that follow the tokens of an
// [Activations]: kernels take up to 12 tokens at once and round up.
const intTokenPad = 12

// Activations holds tokens quantized for [Pool.MulInt], one scale and one zero
// point for each token:
//
//	x[t][k] ≈ Scale[t] · (Q[t][k] − Zero[t])
//
// The stored domain of Q and Zero is q−128 for 8 bits, so that it fits a signed
// byte, and q itself (0…2^bits−1) below. [Activations.Quantize] fills it; the
// buffers are reused from call to call. The zero value is ready for use.
type Activations struct {
	Tokens, Cols, Stride int
	Bits                 int       // 2 to 8
	Group                int       // inputs per partial sum; must be that of the matrices
	Q                    []int8    // [tokens + padding][stride], zero beyond cols
	Scale                []float32 // [tokens]
	Zero                 []int32   // [tokens], in the stored domain
	Sum                  []int32   // [tokens][groups]: Σ of the stored Q

	shift []int32   // [tokens + padding][groups]: −8·Sum, where the kernels' sums begin
	fsum  []float32 // [tokens + intStartPad][groups]: Sum as floats, exact
}

// reset sizes the buffers, with all padding zero.
func (a *Activations) reset(tokens, cols, bits, group int) {
	a.Tokens, a.Cols, a.Bits, a.Group = tokens, cols, bits, group
	// An odd number of cache lines: the same column of neighbouring tokens
	// then lies in different cache sets.
	a.Stride = (intCeil(cols, 64) | 1) * 64
	groups, _ := intGroups(cols, group)
	rows := tokens + intTokenPad
	a.Q = intGrow(a.Q, rows*a.Stride)
	a.Scale = intGrow(a.Scale, tokens)
	a.Zero = intGrow(a.Zero, tokens)
	a.Sum = intGrow(a.Sum, tokens*groups)
	a.shift = intGrow(a.shift, rows*groups)
	a.fsum = intGrow(a.fsum, (tokens+intStartPad)*groups)
	for t := range tokens {
		clear(a.Q[t*a.Stride+cols : (t+1)*a.Stride])
		a.Zero[t] = 0
	}
	clear(a.Q[tokens*a.Stride:])
	clear(a.shift[tokens*groups:])
	clear(a.fsum[tokens*groups:])
}

func intGrow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// Quantize quantizes x [tokens×cols], row t at x[t·ldx], each token
// asymmetrically over its own range (equation 1 of the paper), to bits = 2…8:
//
//	xmin = min(0, min x)·clip    xmax = max(0, max x)·clip
//	Δ = (xmax − xmin) / (2^bits − 1)
//	z = RoundToEven(−xmin / Δ)
//	q = clamp(RoundToEven(x / Δ) + z, 0, 2^bits − 1)
//
// in float32, each operation rounded, with true divisions: all tiers give the
// same bits. A token without range (Δ = 0) gets Δ = 1, z = 0. A token with a
// NaN or infinity, or whose range overflows, gets Scale = NaN and Q = Zero = 0,
// so that every product with it is NaN; the caller decides what that means.
// group is the Group of the matrices to multiply with, clip in (0, 1] shrinks
// the range.
func (a *Activations) Quantize(p *Pool, x []float32, ldx, tokens, cols, bits, group int, clip float32) {
	a.reset(tokens, cols, bits, group)
	per := intChunk(cols)
	p.Run(intCeil(tokens, per), func(i int) {
		for t := i * per; t < min(tokens, (i+1)*per); t++ {
			a.token(t, x[t*ldx:t*ldx+cols], clip)
		}
	})
}

func (a *Activations) token(t int, x []float32, clip float32) {
	q := a.Q[t*a.Stride : t*a.Stride+a.Cols]
	lo, hi, abs := intRange(x)
	lo, hi = lo*clip, hi*clip
	top := float32(int32(1)<<a.Bits - 1)
	delta := (hi - lo) / top
	if abs >= 0x7f800000 || !(delta <= math.MaxFloat32) {
		clear(q)
		a.Scale[t], a.Zero[t] = float32(math.NaN()), 0
		a.sums(t)
		return
	}
	z := float32(0)
	if delta == 0 {
		delta = 1
	} else {
		z = min(float32(math.RoundToEven(float64(-lo/delta))), top)
	}
	off := int32(0)
	if a.Bits == 8 {
		off = 128
	}
	intQuantize(q, x, delta, z, top, off)
	a.Scale[t], a.Zero[t] = delta, int32(z)-off
	a.sums(t)
}

// sums fills the group sums of token t.
func (a *Activations) sums(t int) {
	n, size := intGroups(a.Cols, a.Group)
	q := a.Q[t*a.Stride : t*a.Stride+a.Cols]
	for g := range n {
		sum := intSum(q[g*size : min(a.Cols, (g+1)*size)])
		a.Sum[t*n+g], a.shift[t*n+g], a.fsum[t*n+g] = sum, -8*sum, float32(sum)
	}
}

// Dequantize writes Scale·(Q − Zero) of every token into x, row t at x[t·ldx]:
// the float values that the integers stand for.
func (a *Activations) Dequantize(x []float32, ldx int) {
	for t := range a.Tokens {
		q, y := a.Q[t*a.Stride:], x[t*ldx:t*ldx+a.Cols]
		for k := range y {
			y[k] = a.Scale[t] * float32(int32(q[k])-a.Zero[t])
		}
	}
}

// intRangePortable is the range of x and zero, NaN apart, and the greatest
// |x| as the bits of a float32: 0x7f800000 and above say that one is not
// finite.
func intRangePortable(x []float32) (lo, hi float32, abs uint32) {
	for _, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
		abs = max(abs, math.Float32bits(v)&0x7fffffff)
	}
	return lo, hi, abs
}

// intQuantizePortable writes clamp(RoundToEven(x/delta) + z, 0, top) − off.
func intQuantizePortable(q []int8, x []float32, delta, z, top float32, off int32) {
	for k, v := range x {
		r := float32(math.RoundToEven(float64(v/delta))) + z
		q[k] = int8(int32(min(max(r, 0), top)) - off)
	}
}

func intSumPortable(q []int8) int32 {
	var sum int32
	for _, v := range q {
		sum += int32(v)
	}
	return sum
}
