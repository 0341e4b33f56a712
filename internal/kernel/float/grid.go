package float

import "math"

// Loops over the grids of weights, which [GridStep] describes: all tiers give the
// same bits, so that artefacts do not depend on the machine.

// GridStep is one group's grid: w ≈ Scale·(q − Shift), q in Lo to Hi.
type GridStep struct{ Scale, Shift, Lo, Hi float32 }

// Level returns the level q of t = w/scale + shift, as a float. After clamping, adding
// and subtracting 1.5·2²³ rounds to the nearest integer, half to even. The conversion
// of t keeps compilers from fusing the product in it with this sum.
func (g *GridStep) Level(t float32) float32 {
	const magic = 3 << 22
	return (float32(min(max(t, g.Lo), g.Hi)) + magic) - magic
}

// gridLanes is how many partial sums a squared error has.
const gridLanes = 16

// errorSpan is how many weights are summed between two comparisons of the error with
// its limit.
const errorSpan = 512

// GridError returns the weighted squared error Σ d·(w − ŵ)² of rounding w to the grid,
// summed in 16 lanes by index modulo 16. When the sum passes the limit the rest is
// skipped. A nil d weights all terms with 1. The levels are computed from w·(1/Scale),
// not from w/Scale.
func GridError(w, d []float32, g *GridStep, limit float32) float32 {
	var lanes [gridLanes]float32
	var sum float32
	for len(w) > 0 && sum < limit {
		n := min(errorSpan, len(w))
		var part []float32
		if d != nil {
			sameLen(len(w), len(d))
			part, d = d[:n], d[n:]
		}
		done := gridErrorBlocks(w[:n], part, g, &lanes)
		gridErrorGo(w[done:n], part[min(done, len(part)):], g, &lanes)
		w = w[n:]
		sum = foldGrid(&lanes)
	}
	return sum
}

// gridErrorGo adds the terms to the lanes, the first one to lane 0. An empty d weights
// all terms with 1.
func gridErrorGo(w, d []float32, g *GridStep, lanes *[gridLanes]float32) {
	inv := 1 / g.Scale
	for i, v := range w {
		q := g.Level(float32(v*inv) + g.Shift)
		e := v - float32(g.Scale*(q-g.Shift))
		e = float32(e * e)
		if len(d) > 0 {
			e = float32(d[i] * e)
		}
		lanes[i%gridLanes] += e
	}
}

func foldGrid(l *[gridLanes]float32) float32 {
	var s [4]float32
	for i := range s {
		s[i] = (l[i] + l[i+8]) + (l[i+4] + l[i+12])
	}
	return (s[0] + s[2]) + (s[1] + s[3])
}

// GridRound sets q to the levels of w.
func GridRound(q []int8, w []float32, g *GridStep) {
	sameLen(len(q), len(w))
	for i := gridRoundBlocks(q, w, g); i < len(w); i++ {
		q[i] = int8(g.Level(float32(w[i]/g.Scale) + g.Shift))
	}
}

// GridValues sets dst to what q stands for.
func GridValues(dst []float32, q []int8, g *GridStep) {
	sameLen(len(dst), len(q))
	for i := gridValuesBlocks(dst, q, g); i < len(q); i++ {
		dst[i] = g.Scale * (float32(q[i]) - g.Shift)
	}
}

// GridRoundEach is [GridRound] with a scale and a shift for every weight; those of g
// are not used. It sets e to the rounding error ŵ − w of each weight times share.
func GridRoundEach(q []int8, e, w, scale, shift []float32, g *GridStep, share float32) {
	sameLen(len(q), len(w))
	sameLen(len(e), len(w))
	sameLen(len(scale), len(w))
	sameLen(len(shift), len(w))
	for i := gridRoundEachBlocks(q, e, w, scale, shift, g, share); i < len(w); i++ {
		z := g.Level(float32(w[i]/scale[i]) + shift[i])
		q[i] = int8(z)
		e[i] = float32(float32(scale[i]*(z-shift[i]))-w[i]) * share
	}
}

// GridTurn moves each weight's code to the best value given the others (one step of
// coordinate descent). e is the difference between the weights and what their codes
// stand for, gradient half the gradient of a sum of squares in e, and h its curvature.
// It sets change to the change of e and reports whether any of it is not zero. Scale
// and shift are each weight's own, as in [GridRoundEach].
func GridTurn(q []int8, e, gradient, change, scale, shift []float32, g *GridStep, h float32) bool {
	for _, v := range [][]float32{e, gradient, change, scale, shift} {
		sameLen(len(v), len(q))
	}
	i, any := gridTurnBlocks(q, e, gradient, change, scale, shift, g, h)
	for ; i < len(q); i++ {
		// The sum of squares is a parabola in the weight's value, with its minimum at best.
		s, d := scale[i], shift[i]
		now := float32(s * (float32(q[i]) - d))
		best := now + float32(gradient[i]/h)
		z := g.Level(float32(best/s) + d)
		to := float32(s * (z - d))
		if change[i] = 0; abs32(best-to) < abs32(best-now) {
			q[i], change[i], any = int8(z), now-to, true
			e[i] += now - to
		}
	}
	return any
}

func abs32(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// Range returns the smallest and the largest element of x, and includes 0 in the range.
// Both are NaN if an element is not finite.
func Range(x []float32) (least, most float32) {
	i := 0
	least, most, i = rangeBlocks(x)
	for _, v := range x[i:] {
		bad := v - v // NaN unless v is finite
		least, most = min(least, v)+bad, max(most, v)+bad
	}
	return least, most
}
