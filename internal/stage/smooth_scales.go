package stage

import (
	"math"
	"slices"

	"github.com/specquant/specquant/internal/recipe"
)

// Limits of λ, relative to a typical channel.
const (
	lambdaMin = 1e-5
	lambdaMax = 1e5
)

// Lambda returns λ_i = max|x_i|^α / max_j|W_ji|^(1−α) for each input channel (SmoothQuant's
// formula, which the SpecQuant paper uses), scaled to a geometric mean of one: that changes
// no quantization error and keeps folded weights within the range of 16-bit floats. A
// channel whose activations or weights are all zero gets λ = 1.
//
// tie names channels that must share λ: channel i uses the maxima over all channels with
// the same tie[i] (in grouped-query attention, the query heads that read one kv head). If
// tie is nil, all channels are independent.
func Lambda(alpha recipe.Alpha, actMax, wMax []float32, tie []int) []float32 {
	n := len(actMax)
	lambda := make([]float32, n)
	if alpha == recipe.Off {
		for i := range lambda {
			lambda[i] = 1
		}
		return lambda
	}
	if tie != nil {
		actMax, wMax = tieMax(actMax, tie), tieMax(wMax, tie)
	}
	actMax = supported(actMax)
	var sum float64
	var live int
	for i := range lambda {
		if actMax[i] > 0 && wMax[i] > 0 {
			l := float64(alpha)*math.Log(float64(actMax[i])) - (1-float64(alpha))*math.Log(float64(wMax[i]))
			sum += l
			live++
			lambda[i] = float32(l)
		}
	}
	mean := sum / float64(max(live, 1))
	for i := range lambda {
		if actMax[i] > 0 && wMax[i] > 0 {
			lambda[i] = float32(min(max(math.Exp(float64(lambda[i])-mean), lambdaMin), lambdaMax))
		} else {
			lambda[i] = 1
		}
	}
	return lambda
}

// leastSupport is the smallest magnitude of a channel, relative to the median channel, that
// λ is computed from; smaller channels count as this large.
const leastSupport = 1.0 / 16

// supported returns the channels' largest magnitudes, with nonzero values raised to at
// least leastSupport times the median. A smaller value may be no more than the rounding
// error left in a channel that calibration does not use. Amplified by its inverse, the
// channel would drown all others on text that does use it.
func supported(actMax []float32) []float32 {
	var live []float32
	for _, v := range actMax {
		if v > 0 {
			live = append(live, v)
		}
	}
	if len(live) == 0 {
		return actMax
	}
	slices.Sort(live)
	least := live[len(live)/2] * leastSupport
	out := make([]float32, len(actMax))
	for i, v := range actMax {
		if v > 0 {
			out[i] = max(v, least)
		}
	}
	return out
}

func tieMax(v []float32, tie []int) []float32 {
	top := make([]float32, len(v))
	for i, t := range tie {
		top[t] = max(top[t], v[i])
	}
	out := make([]float32, len(v))
	for i, t := range tie {
		out[i] = top[t]
	}
	return out
}

// ColumnMax returns max_j|W_ji| of each column over the given matrices [out × cols].
func ColumnMax(cols int, ws ...[]float32) []float32 {
	top := make([]float32, cols)
	for _, w := range ws {
		for r := 0; r < len(w); r += cols {
			for i, v := range w[r : r+cols] {
				top[i] = max(top[i], float32(math.Abs(float64(v))))
			}
		}
	}
	return top
}

// ScaleColumns multiplies column i of w [out × cols] by λ_i.
func ScaleColumns(w []float32, lambda []float32, run func(n int, fn func(i int))) {
	cols := len(lambda)
	run(len(w)/cols, func(r int) {
		row := w[r*cols:][:cols]
		for i, l := range lambda {
			row[i] *= l
		}
	})
}

// DivideRows divides row i of w [rows × cols], and of the bias if there is
// one, by λ_i.
func DivideRows(w, bias, lambda []float32, run func(n int, fn func(i int))) {
	cols := len(w) / len(lambda)
	run(len(lambda), func(i int) {
		row := w[i*cols:][:cols]
		for j := range row {
			row[j] /= lambda[i]
		}
		if bias != nil {
			bias[i] /= lambda[i]
		}
	})
}

// DivideTokens writes x/λ for x [tokens × width] to dst, which may be x.
func DivideTokens(dst, x, lambda []float32) {
	n := len(lambda)
	for t := 0; t < len(x); t += n {
		for i, l := range lambda {
			dst[t+i] = x[t+i] / l
		}
	}
}
