package float

import "math"

// Rounding weights to grids of integers. All tiers give the same bits, so that artefacts
// do not depend on the machine that made them.

// GridStep is the grid of one group of weights: w ≈ Scale·(q − Shift), where q is an
// integer from Lo to Hi.
type GridStep struct{ Scale, Shift, Lo, Hi float32 }

// Level returns the integer q (as a float) for t = w/scale + shift: t clamped to Lo…Hi
// and rounded to the nearest integer, half to even, by adding and subtracting 1.5·2²³.
// The conversion to float32 keeps compilers from fusing a product within t with the sum.
func (g *GridStep) Level(t float32) float32 {
	const magic = 3 << 22
	return (float32(min(max(t, g.Lo), g.Hi)) + magic) - magic
}

// gridLanes is the number of partial sums (lanes) that a squared error is added up in:
// element i belongs to lane i modulo 16.
const gridLanes = 16

// errorSpan is the number of weights whose errors are summed before the sum is compared
// with its limit again.
const errorSpan = 512

// GridError returns Σ d·(w − ŵ)², the squared error of rounding w to the grid's values ŵ,
// each term weighted by d (by 1 if d is nil). When the sum exceeds the limit, the rest is
// skipped. The search that calls this tries many grids: it multiplies by 1/Scale where
// [GridRound] divides by Scale.
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
		done := gridErrorBlocks(w[:n], part, g, 1/g.Scale, &lanes)
		gridErrorGo(w[done:n], part[min(done, len(part)):], g, &lanes)
		w = w[n:]
		sum = foldGrid(&lanes)
	}
	return sum
}

// gridErrorGo adds the terms to the lanes, the first one to lane 0. If d is empty, all
// terms have the weight 1.
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

// foldGrid adds up the lanes, in the order of the assembly.
func foldGrid(l *[gridLanes]float32) float32 {
	var s [4]float32
	for i := range s {
		s[i] = (l[i] + l[i+8]) + (l[i+4] + l[i+12])
	}
	return (s[0] + s[2]) + (s[1] + s[3])
}

// GridRound sets q to the integers that the weights w are rounded to.
func GridRound(q []int8, w []float32, g *GridStep) {
	sameLen(len(q), len(w))
	for i := gridRoundBlocks(q, w, g); i < len(w); i++ {
		q[i] = int8(g.Level(float32(w[i]/g.Scale) + g.Shift))
	}
}

// GridValues sets dst to the weights that the integers q stand for.
func GridValues(dst []float32, q []int8, g *GridStep) {
	sameLen(len(dst), len(q))
	for i := gridValuesBlocks(dst, q, g); i < len(q); i++ {
		dst[i] = g.Scale * (float32(q[i]) - g.Shift)
	}
}

// GridRoundEach is [GridRound] where every weight has a scale and a shift of its own, in
// place of those of g. It also sets e to share·(ŵ − w): a part of each rounding error.
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

// GridTurn moves each weight's integer q to the best one while all other weights stay as
// they are: a step of coordinate descent on a sum of squares. e is the difference between
// the weights and the values ŵ of their integers, gradient is half the sum's gradient with
// respect to e, and h its curvature. GridTurn adds the changes to e, sets change to them
// and reports whether any is not zero. Every weight has a scale and a shift of its own,
// as in [GridRoundEach].
func GridTurn(q []int8, e, gradient, change, scale, shift []float32, g *GridStep, h float32) bool {
	for _, v := range [][]float32{e, gradient, change, scale, shift} {
		sameLen(len(v), len(q))
	}
	i, moved := gridTurnBlocks(q, e, gradient, change, scale, shift, g, h)
	any := moved != 0
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

// Range returns the smallest and the largest number of x and zero. Both are NaN if an
// element is not finite.
func Range(x []float32) (least, most float32) {
	least, most, abs := MinMaxAbs(x)
	if abs >= notFinite {
		least = float32(math.NaN())
		most = least
	}
	return least, most
}
