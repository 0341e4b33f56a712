package linalg

import "slices"

// paley tells how to construct a Hadamard matrix of order k from the squares of a field of
// q elements (Paley 1933, "On orthogonal matrices"): construction 1 has k = q+1 for q ≡ 3
// mod 4, construction 2 has k = 2(q+1) for q ≡ 1 mod 4. construction is 0 if k is not such
// an order.
func paley(k int) (construction, q int) {
	if k%4 != 0 || k <= 0 {
		return 0, 0
	}
	if _, _, ok := primePower(k - 1); ok {
		return 1, k - 1
	}
	if q := k/2 - 1; q%4 == 1 {
		if _, _, ok := primePower(q); ok {
			return 2, q
		}
	}
	return 0, 0
}

// paleyMatrix returns the Hadamard matrix of order k, with entries ±1, for which [paley]
// has a construction.
//
// With χ the quadratic character, the conference matrix C = [0 1ᵀ; ±1 χ(i−j)]
// has C·Cᵀ = q·I. It is skew for q ≡ 3 mod 4, and then I + C is a Hadamard
// matrix; it is symmetric for q ≡ 1 mod 4, and then C ⊗ [1 1; 1 −1] +
// I ⊗ [1 −1; −1 −1] is one.
func paleyMatrix(k int) []float32 {
	construction, q := paley(k)
	f := newGalois(q)
	m := make([]float32, k*k)
	border := float32(1)
	if construction == 1 {
		border = -1
	}
	for i := range q + 1 {
		for j := range q + 1 {
			var c float32
			switch {
			case i == j:
			case i == 0:
				c = 1
			case j == 0:
				c = border
			default:
				c = float32(f.chi[f.sub(i-1, j-1)])
			}
			if construction == 1 {
				if i == j {
					c = 1
				}
				m[i*k+j] = c
				continue
			}
			a, b, d := c, c, -c
			if i == j {
				a, b, d = 1, -1, -1
			}
			m[2*i*k+2*j], m[2*i*k+2*j+1] = a, b
			m[(2*i+1)*k+2*j], m[(2*i+1)*k+2*j+1] = b, d
		}
	}
	return m
}

// conferenceMatrix returns the C of [paleyMatrix] [k/2 × k/2] for a matrix m of order k by
// construction 2.
func conferenceMatrix(m []float32, k int) []float32 {
	n := k / 2
	c := make([]float32, n*n)
	for i := range n {
		for j := range n {
			if i != j {
				c[i*n+j] = m[2*i*k+2*j]
			}
		}
	}
	return c
}

// subtractIdentity returns a − I, a being [n × n].
func subtractIdentity(a []float32, n int) []float32 {
	b := slices.Clone(a)
	for i := range n {
		b[i*n+i]--
	}
	return b
}
