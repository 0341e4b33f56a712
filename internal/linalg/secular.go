package linalg

import (
	"math"
	"slices"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// parts tells in which halves an eigenvector is not zero.
type parts byte

const (
	inLeft parts = 1 << iota
	inRight
)

// update is the eigenproblem of diag(d) + ρ·z·zᵀ, ρ ≥ 0.
type update struct {
	rho float64
	d   []float64
	z   []float64
	in  []parts
}

// deflate finds the eigenvectors that the update does not change, up to rounding: those
// with a negligible component of z and, of two with nearly equal eigenvalues, one after a
// rotation that makes its component zero (Dongarra and Sorensen 1987). It returns the
// others (first those in the left half only, last those in the right half only, each in
// ascending order), and the deflated ones.
func (u *update) deflate(q func(i int) []float64) (keep, deflated []int) {
	top := 0.0
	for i, v := range u.d {
		top = max(top, math.Abs(v), math.Abs(u.z[i]))
	}
	tol := 8 * epsilon * top
	last := -1 // the previous one that is kept
	for _, j := range sortedBy(u.d) {
		if u.rho*math.Abs(u.z[j]) <= tol {
			deflated = append(deflated, j)
			continue
		}
		if last >= 0 {
			r := math.Hypot(u.z[last], u.z[j])
			c, s := u.z[j]/r, -u.z[last]/r
			if math.Abs((u.d[j]-u.d[last])*c*s) <= tol {
				u.z[j], u.z[last] = r, 0
				rotate(q(last), q(j), c, s)
				if u.in[j] != u.in[last] {
					u.in[j] = inLeft | inRight
					u.in[last] = u.in[j]
				}
				a, b := u.d[last], u.d[j]
				u.d[last], u.d[j] = a*c*c+b*s*s, a*s*s+b*c*c
				deflated = append(deflated, last)
			} else {
				keep = append(keep, last)
			}
		}
		last = j
	}
	if last >= 0 {
		keep = append(keep, last)
	}
	place := [...]int{inLeft: 0, inLeft | inRight: 1, inRight: 2}
	slices.SortStableFunc(keep, func(a, b int) int { return place[u.in[a]] - place[u.in[b]] })
	return keep, deflated
}

// solve sets values[j] to the eigenvalues of the kept part, ascending, and row j of s [k×k]
// to the eigenvectors in terms of keep.
//
// The eigenvalues are computed first. They are the exact eigenvalues for a slightly
// different vector ẑ, and the eigenvectors are computed from ẑ, which makes them orthogonal
// (Gu and Eisenstat 1994, "A stable and efficient algorithm for the rank-one modification
// of the symmetric eigenproblem").
func (u *update) solve(p *parallel.Pool, s []float64, keep []int, values []float64) {
	k := len(keep)
	d, z := make([]float64, k), make([]float64, k)
	for i, r := range keep {
		d[i] = u.d[r]
	}
	order := sortedBy(d)
	for i, o := range order {
		r := keep[o]
		d[i], z[i] = u.d[r], u.z[r]
	}
	const chunk = 16
	chunks := (k + chunk - 1) / chunk
	p.Run(chunks, func(c int) {
		for j := c * chunk; j < min((c+1)*chunk, k); j++ {
			values[j] = secularRoot(d, z, u.rho, j, s[j*k:][:k])
		}
	})
	// ẑᵢ² = Πⱼ (λⱼ − dᵢ) / Πⱼ≠ᵢ (dⱼ − dᵢ), up to a common factor.
	zHat := make([]float64, k)
	p.Run(chunks, func(c int) {
		from, to := c*chunk, min((c+1)*chunk, k)
		w := zHat[from:to]
		for i := range w {
			w[i] = s[(from+i)*k+from+i]
		}
		for j := range k {
			row := s[j*k+from:][:len(w)]
			for i, v := range row {
				if from+i != j {
					w[i] *= v / (d[from+i] - d[j])
				}
			}
		}
		for i, v := range w {
			w[i] = math.Copysign(math.Sqrt(math.Abs(v)), z[from+i])
		}
	})
	p.Run(chunks, func(c int) {
		v := make([]float64, k)
		for j := c * chunk; j < min((c+1)*chunk, k); j++ {
			row := s[j*k:][:k]
			for i := range row {
				v[i] = zHat[i] / row[i]
			}
			norm := 1 / math.Sqrt(dot(v, v))
			for i, o := range order {
				row[o] = v[i] * norm
			}
		}
	})
}

// secularRoot returns root j of f(λ) = 1 + ρ·Σ zᵢ²/(dᵢ − λ), the one above d[j],
// and writes delta[i] = dᵢ − λ. d is strictly ascending, ρ and all zᵢ² are above
// zero. What delta has lost no digits of is the distance from the nearest d: the
// root is sought relative to that.
//
// Each step replaces the sums of the poles below and above the root by one pole
// each that has the same value and slope, and takes the root of that (Bunch,
// Nielsen and Sorensen 1978), within a bracket.
func secularRoot(d, z []float64, rho float64, j int, delta []float64) float64 {
	k := len(d)
	last := j == k-1
	origin := d[j]
	var lo, hi, x float64
	if last {
		for _, v := range z {
			hi += v * v
		}
		hi *= rho * (1 + 8*epsilon)
		x = hi / 2
	} else {
		hi = (d[j+1] - d[j]) / 2
		x = hi
		below, above, _, _ := poles(d, z, origin, x, j)
		if 1+rho*(below+above) < 0 { // the root is nearer to the upper pole
			origin = d[j+1]
			lo, hi, x = -hi, 0, -hi
		}
	}
	for step := 0; step < 200; step++ {
		below, above, slopeBelow, slopeAbove := poles(d, z, origin, x, j)
		f := 1 + rho*(below+above)
		size := 1 + rho*(8*(math.Abs(below)+math.Abs(above))+math.Abs(x)*(slopeBelow+slopeAbove))
		if math.Abs(f) <= epsilon*size {
			break
		}
		if f < 0 {
			lo = x
		} else {
			hi = x
		}
		var next float64
		d1 := (d[j] - origin) - x
		if last {
			next = x + d1 + rho*slopeBelow*d1*d1/(1+rho*(below-slopeBelow*d1))
		} else {
			d2 := (d[j+1] - origin) - x
			c := 1 + rho*(below-slopeBelow*d1) + rho*(above-slopeAbove*d2)
			a := c*(d1+d2) + rho*(slopeBelow*d1*d1+slopeAbove*d2*d2)
			b := d1 * d2 * f
			root := math.Sqrt(math.Abs(a*a - 4*b*c))
			if a <= 0 {
				next = x + (a-root)/(2*c)
			} else {
				next = x + 2*b/(a+root)
			}
		}
		// Outside the bracket, NaN, or slow: bisect.
		if !(next > lo && next < hi) || step > 10 && step%2 == 1 {
			next = lo + (hi-lo)/2
		}
		if next == x || next == lo || next == hi {
			break
		}
		x = next
	}
	for i, v := range d {
		delta[i] = (v - origin) - x
	}
	return origin + x
}

// poles returns Σ zᵢ²/(dᵢ − λ) over i ≤ j and over i > j, λ = origin + x, and the
// slopes of both.
func poles(d, z []float64, origin, x float64, j int) (below, above, slopeBelow, slopeAbove float64) {
	z = z[:len(d)]
	for i, v := range d[:j+1] {
		t := z[i] / ((v - origin) - x)
		below += z[i] * t
		slopeBelow += t * t
	}
	for i := j + 1; i < len(d); i++ {
		t := z[i] / ((d[i] - origin) - x)
		above += z[i] * t
		slopeAbove += t * t
	}
	return below, above, slopeBelow, slopeAbove
}
