package stage

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// AWQ (Lin et al., arXiv 2306.00978) scales input channels by the average magnitude of
// their activations, s = E|x|^r (section 3.2, eq. 4 and 5), with the r that leaves the
// smallest error in the output of that part of the block. It then clips each group of
// weights at the magnitude that leaves the smallest output error.

// AWQRatios are the exponents r that AWQ tries: 0, 1/20, … 19/20.
func AWQRatios() []float64 {
	r := make([]float64, 20)
	for i := range r {
		r[i] = float64(i) / 20
	}
	return r
}

// awqFloor is the authors' lower limit of s before normalization.
const awqFloor = 1e-4

// AWQScale returns λ = s for each channel, by which the weights are multiplied and the
// activations divided: s = max(E|x|^r, 1e-4), normalized by √(max s·min s). A channel whose
// calibration activations are all zero gets λ = 1, because nothing is known about its size
// on other text. (The authors give it the floor, which amplifies it by orders of magnitude
// if other text does use it.)
func AWQScale(meanAbs []float64, ratio float64) []float32 {
	s := make([]float64, len(meanAbs))
	lo, hi := math.Inf(1), 0.0
	for i, v := range meanAbs {
		if v > 0 {
			s[i] = max(math.Pow(v, ratio), awqFloor)
			lo, hi = min(lo, s[i]), max(hi, s[i])
		}
	}
	lambda := make([]float32, len(s))
	for i, v := range s {
		lambda[i] = 1
		if v > 0 {
			lambda[i] = float32(v / math.Sqrt(lo*hi))
		}
	}
	return lambda
}

// AWQRound writes Q(w·s)/s to dst: the weights w [rows × cols] after rounding in scaled
// coordinates, converted back to the current ones. q is scratch of rows·cols codes.
func AWQRound(p *parallel.Pool, g quant.Grid, dst []float32, q []int8, w, s []float32, rows, cols int) error {
	copy(dst, w)
	ScaleColumns(dst, s, p.Run)
	steps, err := g.Scales(dst, rows, cols, quant.ClipNone, p.Run)
	if err != nil {
		return err
	}
	g.RTN(q, dst, steps, rows, cols, p.Run)
	g.Dequantize(dst, q, steps, rows, cols, p.Run)
	p.Run(rows, func(r int) { DivideTokens(dst[r*cols:][:cols], dst[r*cols:][:cols], s) })
	return nil
}

// The clipping magnitudes that AWQ tries for a group: 1, 1 − 1/20, … 1 − 9/20 of its
// largest weight.
const (
	awqClipSteps = 10
	awqClipGrid  = 20
)

// AWQClip clips each group of w [rows × cols], in place, at the magnitude whose rounded
// weights leave the smallest error in the group's contribution to the output, Σ_t (Σ_i
// x_ti·(Q(w)_i − w_i))² over the tokens of x [tokens × cols]. This error is dᵀ·G·d with the
// rounding errors d and the group's Gram matrix G = Σ x xᵀ, which all rows share.
func AWQClip(p *parallel.Pool, g quant.Grid, w []float32, rows, cols int, x []float32, tokens int) error {
	width := cols
	if g.Groups(cols) > 1 {
		width = g.Group
	}
	one := g // a grid with one scale for the group
	one.Group, one.Multiples = 0, false
	q := make([]int8, rows*width)
	part, d, gd := make([]float32, rows*width), make([]float32, rows*width), make([]float32, rows*width)
	for lo := 0; lo < cols; lo += width {
		m := min(width, cols-lo)
		gram := groupGram(p, x, cols, lo, m, tokens)
		least, best := make([]float64, rows), make([]float32, rows)
		for step := range awqClipSteps {
			ratio := 1 - float32(step)/awqClipGrid
			p.Run(rows, func(r int) {
				row := w[r*cols+lo:][:m]
				clamp(part[r*m:][:m], row, largest(row)*ratio)
			})
			steps, err := one.Scales(part[:rows*m], rows, m, quant.ClipNone, p.Run)
			if err != nil {
				return err
			}
			one.RTN(q, part[:rows*m], steps, rows, m, p.Run)
			one.Dequantize(d, q[:rows*m], steps, rows, m, p.Run)
			p.Run(rows, func(r int) {
				for i, v := range w[r*cols+lo:][:m] {
					d[r*m+i] -= v
				}
			})
			float.MatMulNN(p, gd, m, d, m, gram, m, rows, m, m, false)
			for r := range rows {
				var e float64
				for i, v := range d[r*m:][:m] {
					e += float64(v) * float64(gd[r*m+i])
				}
				if step == 0 || e < least[r] {
					least[r], best[r] = e, ratio
				}
			}
		}
		p.Run(rows, func(r int) {
			row := w[r*cols+lo:][:m]
			clamp(row, row, largest(row)*best[r])
		})
	}
	return nil
}

// groupGram returns Σ x xᵀ over the m channels that start at lo, [m × m].
func groupGram(p *parallel.Pool, x []float32, cols, lo, m, tokens int) []float32 {
	sum := make([]float64, m*m)
	float.SyrkTN(p, sum, m, x[lo:], cols, tokens)
	gram := make([]float32, len(sum))
	var mean float64 // of the diagonal, over channels with any activation
	var live int
	for i := range m {
		if v := sum[i*m+i]; v > 0 {
			mean += v
			live++
		}
	}
	mean /= float64(max(live, 1))
	for i := range m {
		if sum[i*m+i] == 0 {
			sum[i*m+i] = mean // keeps the weights of unused channels from being clipped away
		}
	}
	for i, v := range sum {
		gram[i] = float32(v / float64(max(tokens, 1)))
	}
	return gram
}

// largest is max |w|.
func largest(w []float32) float32 {
	var top float32
	for _, v := range w {
		top = max(top, v, -v)
	}
	return top
}

// clamp writes w, limited to ±limit, to dst, which may be w.
func clamp(dst, w []float32, limit float32) {
	for i, v := range w {
		dst[i] = min(max(v, -limit), limit)
	}
}

// awqClipBytes is the memory of a copy of a layer [out × in] and of what [AWQClip] holds
// for one group in all rows: codes, clipped weights, their errors, the errors times the
// Gram matrix, and that matrix.
func awqClipBytes(r *recipe.Recipe, out, in int) int64 {
	width := in
	if g := r.Weights.Group; g > 0 {
		width = min(g, in)
	}
	return 4*int64(out)*int64(in) + int64(out)*int64(width)*(1+3*4) + int64(width)*int64(width)*(8+4)
}
