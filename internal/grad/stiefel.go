package grad

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
)

// CayleySGD minimizes over orthogonal matrices along the curve of the Cayley transform (Li,
// Li & Todorovic 2020, arXiv 2002.01113, algorithm 1), which is how SpinQuant learns its
// rotations. With X the matrix, G its gradient and V the momentum:
//
//	V = µ·V − Gᵀ   M = V·X   Ŵ = M − ½·Xᵀ·(X·M)   W = Ŵ − Ŵᵀ
//	t = min(rate, 1/(‖W‖₁ + ε))   Y = Xᵀ + t·V   5 times: Y = Xᵀ + t·W·(Xᵀ + Y)/2
//	X = Yᵀ   V = W·Xᵀ
//
// About once in 101 steps, or as soon as an element of X·Xᵀ differs from I by more than
// 1e-6, X is orthogonalized again: its rows by Gram-Schmidt, which is the QR factorization
// with a positive diagonal.
type CayleySGD struct {
	Pool     *parallel.Pool
	Params   []*Var // [n × n], orthogonal
	Rate     float64
	Momentum float64 // µ; 0 in SpinQuant
	Schedule Schedule
	Seed     uint64 // for the choice of these steps

	step int
	rng  *rand.Rand
	v    [][]float32
}

const (
	cayleyEpsilon    = 1e-8
	cayleyIterations = 5
	cayleyDrift      = 1e-6
)

// Step updates the matrices and clears their gradients. It is an error if a matrix is not
// square, has a gradient that is not finite, or cannot be orthogonalized.
func (c *CayleySGD) Step() error {
	if err := checkGradients([]Group{{Params: c.Params}}); err != nil {
		return err
	}
	if c.rng == nil {
		c.rng = rand.New(rand.NewPCG(c.Seed, 101))
		for _, p := range c.Params {
			if p.Rows != p.Cols {
				return fmt.Errorf("rotation %q is %s, expected a square matrix", p.Name, p.shape())
			}
			c.v = append(c.v, make([]float32, len(p.Data)))
		}
	}
	rate := c.Rate * c.Schedule.at(c.step)
	c.step++
	for i, p := range c.Params {
		c.move(p, c.v[i], rate)
		if c.rng.IntN(101) == 0 || c.drift(p) > cayleyDrift {
			if err := Orthonormalize(c.Pool, p); err != nil {
				return err
			}
		}
		p.ZeroGrad()
	}
	return nil
}

// move takes one step for one matrix.
func (c *CayleySGD) move(p *Var, v []float32, rate float64) {
	n, x := p.Rows, p.Data
	for i := range n {
		for j := range n {
			v[i*n+j] = float32(c.Momentum)*v[i*n+j] - p.Grad[j*n+i]
		}
	}
	m, s, w := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n)
	float.MatMulNN(c.Pool, m, n, v, n, x, n, n, n, n, false)
	float.MatMulNN(c.Pool, s, n, x, n, m, n, n, n, n, false)
	float.MatMulTN(c.Pool, w, n, x, n, s, n, n, n, n, false)
	for i, u := range w {
		m[i] -= 0.5 * u
	}
	for i := range n {
		for j := range n {
			w[i*n+j] = m[i*n+j] - m[j*n+i]
		}
	}
	t := float32(min(rate, 1/(columnNorm(w, n)+cayleyEpsilon)))
	xt, y := make([]float32, n*n), m
	for i := range n {
		for j := range n {
			xt[i*n+j] = x[j*n+i]
			y[i*n+j] = xt[i*n+j] + t*v[i*n+j]
		}
	}
	for range cayleyIterations {
		for i, u := range xt {
			s[i] = 0.5 * (u + y[i])
		}
		float.MatMulNN(c.Pool, y, n, w, n, s, n, n, n, n, false)
		for i, u := range xt {
			y[i] = u + t*y[i]
		}
	}
	for i := range n {
		for j := range n {
			x[j*n+i] = y[i*n+j]
		}
	}
	float.MatMulNN(c.Pool, v, n, w, n, y, n, n, n, n, false)
}

// columnNorm is ‖w‖₁, the largest sum of magnitudes of a column.
func columnNorm(w []float32, n int) float64 {
	sums := make([]float64, n)
	for i, v := range w {
		sums[i%n] += math.Abs(float64(v))
	}
	var top float64
	for _, s := range sums {
		top = max(top, s)
	}
	return top
}

// drift is the largest element of |x·xᵀ − I|.
func (c *CayleySGD) drift(p *Var) float64 {
	n := p.Rows
	g := make([]float32, n*n)
	float.MatMulNT(c.Pool, g, n, p.Data, n, p.Data, n, n, n, n, false)
	var worst float64
	for i, v := range g {
		d := float64(v)
		if i%(n+1) == 0 {
			d--
		}
		worst = max(worst, math.Abs(d))
	}
	return worst
}

// Orthonormalize makes the rows of p [n × n] orthonormal, from first to last, in float64: x
// = L·q with a lower triangular L of positive diagonal, the Cholesky factor of x·xᵀ. It is
// accurate if x is nearly orthonormal, and an error if it is far from it.
func Orthonormalize(pool *parallel.Pool, p *Var) error {
	n := p.Rows
	x, l := make([]float64, n*n), make([]float64, n*n)
	for i, v := range p.Data {
		x[i] = float64(v)
	}
	float.MatMulNT64(pool, l, n, x, n, x, n, n, n, n, float.Set)
	if err := linalg.Cholesky(pool, l, n); err != nil {
		return fmt.Errorf("rotation %q has no orthogonal neighbour: %w", p.Name, err)
	}
	pool.Run((n+columnBlock-1)/columnBlock, func(i int) {
		from, to := i*columnBlock, min((i+1)*columnBlock, n)
		for r := range n {
			row := x[r*n+from : r*n+to]
			for k := range r {
				for i, v := range x[k*n+from : k*n+to] {
					row[i] -= float64(l[r*n+k] * v)
				}
			}
			for i := range row {
				row[i] /= l[r*n+r]
			}
		}
	})
	for i, v := range x {
		p.Data[i] = float32(v)
	}
	return nil
}
