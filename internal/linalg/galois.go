package linalg

// primePower returns the prime p and the exponent e ≥ 1 with q = p^e, or false if q is not
// a power of a prime.
func primePower(q int) (p, e int, ok bool) {
	if q < 2 {
		return 0, 0, false
	}
	p = q
	for d := 2; d*d <= q; d++ {
		if q%d == 0 {
			p = d
			break
		}
	}
	for e = 0; q%p == 0; e++ {
		q /= p
	}
	return p, e, q == 1
}

// galois is the field of q = p^e elements. Element Σ cᵢ·pⁱ, 0 ≤ cᵢ < p, stands
// for the polynomial Σ cᵢ·xⁱ modulo a primitive polynomial of degree e, so that
// the powers of x are all elements but 0.
type galois struct {
	p, e, q int
	chi     []int8 // the quadratic character: 0 of 0, +1 of squares, -1 of the rest
}

// newGalois makes the field of q elements, q a power of an odd prime.
func newGalois(q int) *galois {
	p, e, _ := primePower(q)
	f := &galois{p: p, e: e, q: q, chi: make([]int8, q)}
	// Some polynomials are primitive; try them in order.
	low := make([]int, e)
	for c := 1; !f.powers(f.digits(low, c)); c++ {
	}
	return f
}

// digits writes the coefficients of element a.
func (f *galois) digits(dst []int, a int) []int {
	for i := range dst {
		dst[i] = a % f.p
		a /= f.p
	}
	return dst
}

// powers enumerates the powers of x modulo x^e + Σ low[i]·xⁱ and records the character of
// each: even powers are the squares. It returns false if the polynomial is not primitive (1
// is reached early, or never); the next call then overwrites everything.
func (f *galois) powers(low []int) bool {
	a := make([]int, f.e)
	a[0] = 1
	for n := 0; ; n++ {
		at := 0
		for i := f.e - 1; i >= 0; i-- {
			at = at*f.p + a[i]
		}
		if at == 0 || n == f.q-1 || n > 0 && at == 1 {
			return n == f.q-1 && at == 1
		}
		f.chi[at] = int8(1 - 2*(n&1))
		// Times x: shift, and replace top·x^e by -top·Σ low[i]·xⁱ.
		top := a[f.e-1]
		for i := f.e - 1; i > 0; i-- {
			a[i] = (a[i-1] + (f.p-low[i])*top) % f.p
		}
		a[0] = (f.p - low[0]) * top % f.p
	}
}

// sub returns a - b.
func (f *galois) sub(a, b int) int {
	d := 0
	for place := 1; place < f.q; place *= f.p {
		d += (a%f.p - b%f.p + f.p) % f.p * place
		a, b = a/f.p, b/f.p
	}
	return d
}
