package spectrum

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// energyParts is the number of partial sums of a curve. It is fixed, so that
// the order of summation does not depend on the number of threads.
const energyParts = 64

// Curve is the spectral energy of a matrix: the power of each component, summed over all
// channels.
type Curve struct {
	Axis  Axis
	Basis string
	// Len is the length of a channel: the number of coefficients.
	Len int
	// Total is ‖W‖², which by Parseval (eq. 7) is also the sum over the spectrum.
	Total float64
	// Power is each component's fraction of Total: it sums to 1 (all zeros for a zero
	// matrix).
	Power []float64
}

// Share returns the fraction of the energy in the lowest fraction (0 … 1) of the spectrum,
// which is counted in coefficients: DC and Nyquist, which have one each, count half of a
// frequency that has two. Within a component the energy is distributed evenly (linear
// interpolation). For a white spectrum Share(p) = p in expectation, for every p and every
// length.
func (c Curve) Share(fraction float64) float64 {
	b, err := newWave(c.Basis, c.Len)
	if err != nil || !(fraction > 0) {
		return 0
	}
	want := min(fraction, 1) * float64(c.Len)
	var sum float64
	for k, p := range c.Power {
		lo, hi := float64(b.Coefficients(k)), float64(b.Coefficients(k+1))
		if hi > want {
			return sum + p*max(want-lo, 0)/(hi-lo)
		}
		sum += p
	}
	return sum
}

// Energy measures the distribution of the energy of w [rows, cols] along the transformed
// axis. Compare it with ShuffledEnergy before drawing any conclusion.
func Energy(w []float32, rows, cols int, axis Axis, basis string, run Runner) (Curve, error) {
	return energy("energy", w, rows, cols, axis, basis, nil, run)
}

// ShuffledEnergy is Energy after a random permutation of the transformed axis, the same for
// all channels. It is the control: a matrix whose order of channels has no meaning has the
// same curve before and after. The permutation depends only on the length and the seed
// (Fisher-Yates with PCG).
func ShuffledEnergy(w []float32, rows, cols int, axis Axis, basis string, seed uint64, run Runner) (Curve, error) {
	if err := checkMatrix("shuffled energy", w, rows, cols, axis); err != nil {
		return Curve{}, err
	}
	_, n := axis.Shape(rows, cols)
	return energy("shuffled energy", w, rows, cols, axis, basis, permutation(n, seed), run)
}

func permutation(n int, seed uint64) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for i := n - 1; i > 0; i-- {
		j := int(r.Uint64N(uint64(i + 1)))
		p[i], p[j] = p[j], p[i]
	}
	return p
}

func energy(what string, w []float32, rows, cols int, axis Axis, basis string, perm []int, run Runner) (Curve, error) {
	if err := checkMatrix(what, w, rows, cols, axis); err != nil {
		return Curve{}, err
	}
	channels, n := axis.Shape(rows, cols)
	b, err := newWave(basis, n)
	if err != nil {
		return Curve{}, err
	}
	count := blocks(channels)
	parts := min(energyParts, count)
	sums := make([][]float64, parts)
	each(run, parts, func(p int) {
		sum := make([]float64, b.Components())
		buf := newBlockBuf(n, channels)
		for i := p * count / parts; i < (p+1)*count/parts; i++ {
			lo, hi := span(i, channels)
			buf.load(w, cols, axis, lo, hi, perm)
			for c := range hi - lo {
				addPower(sum, b, buf.channel(c))
			}
		}
		sums[p] = sum
	})
	curve := Curve{Axis: axis, Basis: basis, Len: n, Power: make([]float64, b.Components())}
	for _, sum := range sums {
		for k, v := range sum {
			curve.Power[k] += v
		}
	}
	for _, v := range curve.Power {
		curve.Total += v
	}
	if !finite(curve.Total) {
		return Curve{}, fmt.Errorf("spectrum: %s: the energy of [%d, %d] is not finite: check the weights for NaN and Inf", what, rows, cols)
	}
	if curve.Total > 0 {
		for k := range curve.Power {
			curve.Power[k] /= curve.Total
		}
	}
	return curve, nil
}

// addPower transforms x in place and adds its power per component to sum.
func addPower(sum []float64, b Basis, x []float64) {
	b.Forward(x, x)
	i := 0
	for k := range sum {
		end := b.Coefficients(k + 1)
		for ; i < end; i++ {
			sum[k] += x[i] * x[i]
		}
	}
}

// entropy returns −Σ p ln p of the normalised powers, in nats; an all-zero spectrum has the
// largest possible entropy, ln(len(power)).
func entropy(power []float64) float64 {
	var total float64
	for _, v := range power {
		total += v
	}
	if total == 0 {
		return math.Log(float64(len(power)))
	}
	var h float64
	for _, v := range power {
		if p := v / total; p > 0 {
			h -= p * math.Log(p)
		}
	}
	return h
}
