package linalg

import (
	"fmt"
	"math"
	"strings"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// MaxWidth is the widest transform. It is far above any layer's width and limits what a
// malformed shape can allocate.
const MaxWidth = 1 << 20

const (
	maxPaley  = 1024 // largest order of a Paley matrix: each number takes as many operations
	maxCosine = 2048 // largest order of a cosine matrix
	fastOrder = 32   // smallest power of two for which a pass in memory order is worthwhile
)

// Hadamard is an orthonormal matrix of any width n that spreads each input evenly over all
// outputs: its entries are ±1/√n if a Hadamard matrix of that order can be constructed as a
// Kronecker product of Sylvester's (orders 2^m) and Paley's. Otherwise a cosine transform
// is used for the remaining odd factor, and entries are up to √2/√n in magnitude (2/√n if
// the factor has to be split in two). The matrix is not symmetric in general.
type Hadamard struct {
	product
	kinds []string
	even  bool
}

// NewHadamard returns the transform of width n: the product with the smallest cosine factor
// (1 is best: none), and among those the cheapest. It is an error if the width has a prime
// factor above 2048 for which there is no Paley matrix.
func NewHadamard(n int) (*Hadamard, error) { return newHadamard(n, 1) }

// newHadamard returns the Kronecker product of the transform of order n and the identity of
// order tail.
func newHadamard(n, tail int) (*Hadamard, error) {
	if n < 1 || n > MaxWidth {
		return nil, fmt.Errorf("linalg: Hadamard transform of width %d: want a width from 1 to %d", n, MaxWidth)
	}
	orders, cosines, two, ok := factorHadamard(n)
	if !ok {
		return nil, fmt.Errorf("linalg: no Hadamard transform of width %d: it has a prime factor above %d that no construction here takes; use another rotation for this layer", n, maxCosine)
	}
	h := &Hadamard{even: cosines == nil}
	hadamard := n // the part of n whose matrices have entries ±1
	var terms []*term
	add := func(kind string, k int, matrix []float32) {
		terms = append(terms, &term{k: k, matrix: matrix})
		h.kinds = append(h.kinds, fmt.Sprintf("%s %d", kind, k))
	}
	// A large power of two comes last, where its rows are contiguous; a small one first, so
	// that the products with the others are wide.
	if two > 1 && two < fastOrder && n > two {
		add("Sylvester", two, nil)
	}
	for _, k := range cosines {
		add("cosine", k, cosineMatrix(k))
		hadamard /= k
	}
	for _, k := range orders {
		c, _ := paley(k)
		m := paleyMatrix(k)
		add("Paley "+"II"[:c], k, m)
		f := terms[len(terms)-1]
		if c == 1 {
			f.signed = float.NewSigned(m, k, false)
			continue
		}
		f.conference = conferenceMatrix(m, k)
		f.signed = float.NewSigned(subtractIdentity(f.conference, k/2), k/2, true)
	}
	if two >= fastOrder || n == two {
		add("Sylvester", two, nil)
	}
	h.product = newProduct(tail, float32(1/math.Sqrt(float64(hadamard))), terms...)
	return h, nil
}

// factorHadamard splits n into Paley orders in ascending order, cosine orders and a power
// of two, such that the product of the cosine orders is as small as possible.
func factorHadamard(n int) (orders, cosines []int, two int, ok bool) {
	two = n & -n
	odd := n / two
	for cosine := 1; cosine <= odd; cosine += 2 {
		if odd%cosine != 0 {
			continue
		}
		if orders, ok = paleyOrders(odd/cosine, two, 3); ok {
			for _, k := range orders {
				two /= k & -k
			}
			cosines, ok = cosineOrders(cosine)
			return orders, cosines, two, ok
		}
	}
	return nil, nil, 0, false // not reached: cosine = odd leaves nothing to Paley
}

// cosineOrders splits odd into factors above 1 and at most maxCosine, into one if possible.
// It fails if a prime factor is larger.
func cosineOrders(odd int) (orders []int, ok bool) {
	k := 1
	for odd > 1 {
		p := 3
		for odd%p != 0 {
			if p += 2; p*p > odd {
				p = odd
			}
		}
		if p > maxCosine {
			return nil, false
		}
		if k*p > maxCosine {
			orders, k = append(orders, k), 1
		}
		k *= p
		odd /= p
	}
	if k > 1 {
		orders = append(orders, k)
	}
	return orders, true
}

// passCost is the cost of a pass over the numbers, besides its products, in operations per
// number.
const passCost = 16

// paleyOrders returns the cheapest Paley orders whose odd factors, each at least from, have
// the product odd, and whose powers of two divide two.
func paleyOrders(odd, two, from int) (best []int, ok bool) {
	if odd == 1 {
		return nil, true
	}
	least := 0
	for u := from; u <= min(odd, maxPaley/4); u += 2 {
		if odd%u != 0 {
			continue
		}
		k := 4 * u
		for c, _ := paley(k); c == 0 && k <= maxPaley; c, _ = paley(k) {
			k *= 2
		}
		if k > maxPaley || two%(k&-k) != 0 {
			continue
		}
		rest, solved := paleyOrders(odd/u, two/(k&-k), u)
		if !solved {
			continue
		}
		cost := k + passCost
		for _, r := range rest {
			cost += r + passCost
		}
		if !ok || cost < least {
			best, least, ok = append([]int{k}, rest...), cost, true
		}
	}
	return best, ok
}

// cosineMatrix is the orthonormal DCT-II of order n: row k is the cosine of
// frequency k, √(2/n)·cos(πk(2i+1)/2n), and row 0 is 1/√n.
func cosineMatrix(n int) []float32 {
	m := make([]float32, n*n)
	for k := range n {
		norm := math.Sqrt(2 / float64(n))
		if k == 0 {
			norm = math.Sqrt(1 / float64(n))
		}
		for i := range n {
			turn := k * (2*i + 1) % (4 * n) // in units of 1/(4n) of a full turn
			m[k*n+i] = float32(norm * math.Cos(2*math.Pi*float64(turn)/float64(4*n)))
		}
	}
	return m
}

// Apply implements [Transform].
func (h *Hadamard) Apply(p *parallel.Pool, x []float32, rows int) {
	checkRows(h, x, rows)
	h.apply(p, x, rows, false)
}

// ApplyT implements [Transform]; it undoes Apply.
func (h *Hadamard) ApplyT(p *parallel.Pool, x []float32, rows int) {
	checkRows(h, x, rows)
	h.apply(p, x, rows, true)
}

// Even reports whether all entries are ±1/√n.
func (h *Hadamard) Even() bool { return h.even }

// Name is the construction, as in "Paley I 44 × Sylvester 128", in the order of
// the Kronecker product.
func (h *Hadamard) Name() string { return strings.Join(h.kinds, " × ") }

// String is Name.
func (h *Hadamard) String() string { return h.Name() }

// Heads transforms across heads: H ⊗ I, with H the [Hadamard] of order heads and
// I the identity of the size of a head. After a Hadamard transform within each
// head it completes that of all the heads (QuaRot, Ashkboos et al. 2024,
// section 4, stage 1c).
type Heads struct{ h *Hadamard }

// NewHeads returns the transform of rows [heads × dim]. Errors are those of
// [NewHadamard].
func NewHeads(heads, dim int) (*Heads, error) {
	if heads < 1 || dim < 1 || heads > MaxWidth/dim {
		return nil, fmt.Errorf("linalg: transform across %d heads of %d: want a width from 1 to %d", heads, dim, MaxWidth)
	}
	h, err := newHadamard(heads, dim)
	if err != nil {
		return nil, err
	}
	return &Heads{h}, nil
}

// Width implements [Transform]: heads·dim.
func (t *Heads) Width() int { return t.h.n }

// Apply implements [Transform].
func (t *Heads) Apply(p *parallel.Pool, x []float32, rows int) { t.h.Apply(p, x, rows) }

// ApplyT implements [Transform].
func (t *Heads) ApplyT(p *parallel.Pool, x []float32, rows int) { t.h.ApplyT(p, x, rows) }

// Even reports whether the entries of H are ±1/√heads.
func (t *Heads) Even() bool { return t.h.Even() }

// Name implements [Transform].
func (t *Heads) Name() string {
	return fmt.Sprintf("%s across %d heads of %d", t.h.Name(), t.h.n/t.h.tail, t.h.tail)
}
