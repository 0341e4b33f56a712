package kv

import (
	"encoding/binary"
	"math"
)

// The softmax of a row of scores over a cache of integers, and the weights of its values as
// integers (see int.go). The weights have 14 bits, so that exponentials of five digits are good
// enough for them. For the scores s_j that the row sees, top the largest of them:
//
//	e_j  = exp(scale·(s_j-top))
//	w_j  = e_j·scale_j ≈ top_b·v_j/16383, where top_b is the largest w_j of the block b, and v_j
//	       the integer
//	step = top_b/16383/Σ_j e_j
//	base = Σ_j e_j·minimum_j/Σ_j e_j
//
// So a row is read twice, once for its largest score and once for everything else, and what is
// divided by the sum is one number a block. A block is 64 positions, from a multiple of 64 on.
//
// Both sums are added up in 16 lanes, a position in the lane that is its remainder by 16: the four
// of a block first, then the blocks in ascending order. The lanes are then added in halves. So
// the relative error of the sum over b blocks is below (b+6)·2⁻²⁴. Products that are part of a sum
// are not rounded before they are added (fma32): all tiers with assembly have an instruction for
// that. The Go code here defines all results to the bit, but for those of rows whose base is NaN.

// The exponential is 2^y, y = n+f, where n is the integer nearest to y, and |f| ≤ 1/2. The
// polynomial 1+f·(C1+f·(C2+f·(C3+f·C4))) is the one whose largest relative error as 2^f is the
// smallest, 2.9e-6. Rounding the distance from the largest score, and scale·log₂e, changes 2^y by
// |y|·1e-7 at most, 6e-6 where it is smallest.
const (
	kvExp2C1 = 0.69312418
	kvExp2C2 = 0.24024099
	kvExp2C3 = 0.055906452
	kvExp2C4 = 0.009582864

	// An exponential below 2^-kvExp2Range is 0. A position with it has no part in the result,
	// whatever its value. The others, times any scale above 0, are normal numbers.
	kvExp2Range = 64
)

// kvUnseen are the scores of positions that a row does not see.
var kvUnseen = func() (s [kvIntBlock]float32) {
	for i := range s {
		s[i] = float32(math.Inf(-1))
	}
	return s
}()

// kvSoftmax sets dst to the integers of the weights, in the form that the active tier's routines
// read, and step to the scale of each block. It returns the base. s has whole blocks of scores,
// -Inf where the row does not see a position, whose value may be anything. After the call s holds
// anything. scale is not negative.
//
// If a score or the scale is NaN, or if the largest score is infinite, the base is NaN, and with
// it the result of the row. A score of -Inf has the weight 0.
func kvSoftmax(dst []byte, step, s []float32, scale float32, vscale, vmin []float32) (base float32) {
	a := scale * float32(math.Log2E)
	limit := min(kvExp2Range/a, math.MaxFloat32) // finite, so that a distance of +Inf is beyond it
	sum, base, ok := kvSoftmaxBlocks(dst, step, s, a, limit, vscale, vmin)
	if !ok {
		sum, base = kvSoftmaxGo(dst, step, s, a, limit, vscale, vmin)
	}
	norm := 1 / sum
	each := norm * (1.0 / kvIntTop)
	for b := range step {
		step[b] *= each
	}
	return float32(base * norm)
}

// kvSoftmaxGo is [kvSoftmax] before the division by the sum: it sets step to the largest weight of
// each block. a is the scale of the scores for exponentials to base 2; limit is how far below the
// largest score another may be without having the exponential 0.
func kvSoftmaxGo(dst []byte, step, s []float32, a, limit float32, vscale, vmin []float32) (sum, base float32) {
	top := s[0]
	for _, v := range s {
		top = max(top, v)
	}
	var sums, bases [kvLanes]float32
	for b := range step {
		s, vscale, vmin := s[b*kvIntBlock:][:kvIntBlock], vscale[b*kvIntBlock:][:kvIntBlock], vmin[b*kvIntBlock:][:kvIntBlock]
		var most float32
		for l := range kvLanes {
			var e [kvIntBlock / kvLanes]float32
			var base float32
			for k := range e {
				j := k*kvLanes + l
				distance := top - s[j]
				if distance > limit {
					s[j] = 0
					continue
				}
				e[k] = kvExp2(distance, a)
				base = fma32(e[k], vmin[j], base)
				s[j] = e[k] * vscale[j]
				most = max(most, s[j])
			}
			sums[l] += (e[0] + e[1]) + (e[2] + e[3])
			bases[l] += base
		}
		step[b] = most
		kvIntRoundWeights(dst[b*2*kvIntBlock:][:2*kvIntBlock], s, kvIntTop/max(most, kvIntLeast))
	}
	return kvFold(&sums), kvFold(&bases)
}

// kvExp2 returns 2^(-distance·a), which is not below 2⁻⁶⁵. Neither number is negative.
func kvExp2(distance, a float32) float32 {
	y := -float64(distance) * float64(a) // exact, as is y-n
	n := math.RoundToEven(y)
	f := float32(y - n)
	p := fma32(kvExp2C4, f, kvExp2C3)
	p = fma32(p, f, kvExp2C2)
	p = fma32(p, f, kvExp2C1)
	p = fma32(p, f, 1)
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}

// fma32 returns x·y+z, rounded once.
func fma32(x, y, z float32) float32 {
	product, c := float64(x)*float64(y), float64(z) // exact
	sum := product + c
	bits := math.Float64bits(sum)
	if bits&(1<<29-1) != 1<<28 && (sum >= 0x1p-126 || sum <= -0x1p-126) {
		return float32(sum) // not in the middle between two float32s
	}
	// What sum lacks of x·y+z. If it lacks anything, its last bit is made 1 (rounding to odd), so
	// that it is not taken for a number in the middle.
	part := sum - product
	rest := (product - (sum - part)) + (c - part)
	if bits&1 == 0 && (rest > 0 || rest < 0) {
		if rest > 0 == (sum > 0) {
			bits++
		} else {
			bits--
		}
	}
	return float32(math.Float64frombits(bits))
}

// kvFold adds up lanes in halves.
func kvFold(lanes *[kvLanes]float32) float32 {
	for h := kvLanes / 2; h > 0; h /= 2 {
		for i := range h {
			lanes[i] += lanes[i+h]
		}
	}
	return lanes[0]
}

// kvIntRoundWeights rounds the weights w of a block, times inv, to integers, in the form that the
// active tier's routines read.
func kvIntRoundWeights(dst []byte, w []float32, inv float32) {
	for i := 0; i < kvIntBlock; i += 4 {
		var v uint64
		for k := range 4 {
			v |= uint64(math.RoundToEven(float64(w[i+k]*inv))) << (16 * k)
		}
		if !kvIntPlanes() {
			binary.LittleEndian.PutUint64(dst[2*i:], v)
			continue
		}
		high, low := kvIntSplit(v)
		binary.LittleEndian.PutUint32(dst[i:], high)
		binary.LittleEndian.PutUint32(dst[kvIntBlock+i:], low)
	}
}
