package float

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// The constants of the tanh approximation of GELU by Hendrycks and Gimpel (arXiv
// 1606.08415). With ½·(1+tanh(y)) = σ(2y), σ being the logistic function, it is
// g·σ(k·g·(1+a·g²)).
const (
	geluK    = 2 * 0.7978845608028654 // k = 2·√(2/π)
	geluA    = 0.044715               // a
	geluEnds = 10                     // where |g| is larger, σ is 0 or 1 in float32
)

// GeGLU replaces gate by gelu(gate)·up, where
// gelu(g) = ½·g·(1+tanh(√(2/π)·(g+0.044715·g³))), with an error below 1e-6 of |gate·up|.
//
// It is computed by [SwiGLU]: with s = k·(1+a·g²) and u = s·g, the result is
// silu(u)·(up/s).
func GeGLU(gate, up []float32) {
	sameLen(len(gate), len(up))
	var scaled [256]float32
	for len(gate) > 0 {
		n := min(len(gate), len(scaled))
		for i, g := range gate[:n] {
			h := max(-geluEnds, min(geluEnds, g))
			s := geluK * (1 + float32(float32(geluA*h)*h))
			gate[i], scaled[i] = g*s, up[i]/s
		}
		SwiGLU(gate[:n], scaled[:n])
		gate, up = gate[n:], up[n:]
	}
}

// GeGLURows is [SwiGLURows] with gelu.
func GeGLURows(dst []float32, ldd int, gate, up []float32, width int) {
	if gatedRows(dst, ldd, gate, up, width) > 0 {
		GeGLU(gate, up)
		copyRows(dst, ldd, gate, width)
	}
}

// GeGLUOn is [GeGLU] on the threads of the pool.
func GeGLUOn(p *parallel.Pool, gate, up []float32) {
	sameLen(len(gate), len(up))
	split(p, len(gate), func(from, to int) { GeGLU(gate[from:to], up[from:to]) })
}

// SoftCap replaces each x by cap·tanh(scale·x/cap), which is close to scale·x where that
// is small and always between −cap and cap. cap is positive.
func SoftCap(x []float32, scale, cap float32) {
	f := 2 * scale / cap
	for i, v := range x {
		x[i] = cap * (1 - 2/(exp32(f*v)+1))
	}
}

// SoftCapOn is [SoftCap] on the threads of the pool.
func SoftCapOn(p *parallel.Pool, x []float32, scale, cap float32) {
	split(p, len(x), func(from, to int) { SoftCap(x[from:to], scale, cap) })
}

// Mul multiplies x by y, element by element.
func Mul(x, y []float32) {
	sameLen(len(x), len(y))
	for i := mulScaledBlocks(x, x, y, 1); i < len(x); i++ {
		x[i] *= y[i]
	}
}

// gelu64 is the definition of GELU's tanh approximation, which tests compare [GeGLU] with.
func gelu64(g float64) float64 {
	return 0.5 * g * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+geluA*g*g*g)))
}
