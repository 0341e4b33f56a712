package spectrum

import "fmt"

// Apply adds W' x to y, computed as the runtime does, without forming W':
//
//	output axis  z = F_K x once, then y_j += Σ_{f < c_j} C_jf z_f
//	input axis   u_f = Σ_i C_fi x_i, then y += F⁻¹ u; Full columns are
//	             gathered: y += column_i · x_i
//
// x is [Cols], y is [Rows]; other lengths panic. This is the readable definition of what
// faster kernels compute. Sums are float64 in a fixed order.
func (b *Branch) Apply(y, x []float32) {
	b.checkVectors(y, x)
	if b.Axis == OutputChannel {
		z := make([]float32, b.Depth())
		b.Project(z, x)
		for j := range y {
			y[j] += ragged(b.channel(j), z)
		}
		return
	}
	b.applyInput(y, x)
}

// Project writes z = F_K x, the len(z) lowest coefficients of x [Cols], rounded to float32.
// It is only for the output axis, where layers that share an input share z; on the other
// axis it panics.
func (b *Branch) Project(z, x []float32) {
	if b.Axis != OutputChannel || len(x) != b.Cols || len(z) > b.Cols {
		panic(fmt.Sprintf("spectrum: Project: %v axis, %d inputs to %d coefficients, branch [%d, %d]", b.Axis, len(x), len(z), b.Rows, b.Cols))
	}
	if len(z) == 0 {
		return
	}
	buf := widen(x)
	b.basis().Forward(buf, buf)
	narrow(z, buf[:len(z)])
}

// ragged is the sum over the coefficients that a channel has, which may be fewer than those
// in z.
func ragged(coeff, z []float32) float32 {
	var s float64
	for f, c := range coeff {
		s += float64(c) * float64(z[f])
	}
	return float32(s)
}

func (b *Branch) applyInput(y, x []float32) {
	sum := make([]float64, b.Rows)
	if depth := b.Depth(); depth > 0 {
		for i, xi := range x {
			if b.full(i) {
				continue
			}
			for f, c := range b.channel(i) {
				sum[f] += float64(c) * float64(xi)
			}
		}
		b.basis().Inverse(sum, sum)
	}
	for i, xi := range x {
		if !b.full(i) {
			continue
		}
		for j, c := range b.channel(i) {
			sum[j] += float64(c) * float64(xi)
		}
	}
	for j, s := range sum {
		y[j] += float32(s)
	}
}

func (b *Branch) checkVectors(y, x []float32) {
	if len(y) != b.Rows || len(x) != b.Cols {
		panic(fmt.Sprintf("spectrum: Apply: y %d, x %d for a branch of [%d, %d]", len(y), len(x), b.Rows, b.Cols))
	}
}

func widen(x []float32) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}
