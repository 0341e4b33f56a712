package float

import (
	"fmt"
	"unsafe"
)

// Signed is a matrix with entries ±1 that multiplies blocks of rows from the left with sums
// instead of products: sums of four rows each are made once, the eight that differ by more than the
// sign, and each row of the result is then a sum of these, a quarter of the terms. That is at most a
// third of the operations of a dense product.
type Signed struct {
	k       int
	pairs   bool
	groups  int
	terms   []signedTerm // [k × groups]: what row i takes of group g of columns
	routine int          // in signedMatrices
}

// signedTerm is one of the sums of four numbers a, b, c, d, (a ± b) ± (c ± d), or a ± b of the last
// two: bit 0 of which is set for the first −, bit 1 for the second, bit 2 for the third.
type signedTerm struct {
	which uint8
	minus bool // the sum is subtracted
}

// NewSigned returns the matrix a [k × k]. With pairs it stands for one of twice the order,
// (a + I) ⊗ [1 1; 1 −1] + I ⊗ [1 −1; −1 −1], which is Paley's by his second construction if a + I is a
// conference matrix. It returns nil for matrices without routines (signed_matrices.go).
func NewSigned(a []float32, k int, pairs bool) *Signed {
	if k < 1 || len(a) != k*k {
		panic(fmt.Sprintf("kernel: matrix of order %d with %d numbers", k, len(a)))
	}
	for i, m := range signedMatrices {
		if len(m.rows) == k && m.pairs == pairs && m.is(a) {
			s := newSigned(a, k, pairs)
			s.routine = i
			return s
		}
	}
	return nil
}

// is reports whether the matrix is a.
func (m *signedMatrix) is(a []float32) bool {
	for i, v := range a {
		want := float32(1)
		if m.rows[i/len(m.rows)]>>(i%len(m.rows))&1 != 0 {
			want = -1
		}
		if v != want {
			return false
		}
	}
	return true
}

// newSigned returns the matrix a without a routine.
func newSigned(a []float32, k int, pairs bool) *Signed {
	m := &Signed{k: k, pairs: pairs, groups: (k + 3) / 4, routine: -1}
	for i := range k {
		for j := 0; j < k; j += 4 {
			var t signedTerm
			v := a[i*k+j : i*k+min(j+4, k)]
			t.minus = v[0] < 0
			if len(v) > 1 && v[1] != v[0] {
				t.which |= 1
			}
			if len(v) == 4 {
				if v[2] != v[0] {
					t.which |= 2
				}
				if v[3] != v[2] {
					t.which |= 4
				}
			}
			m.terms = append(m.terms, t)
		}
	}
	return m
}

// SignedColumns divides the widths that [Signed.MulLeft] takes.
const SignedColumns = 16

// MulLeft sets each block [order × w] of dst to the matrix times that of src, on the calling
// goroutine. dst may be src if the matrix does not stand for one of twice the order. It returns
// false and does nothing unless w is a multiple of [SignedColumns]. All tiers agree to the bit, and a column's
// result does not depend on others.
func (m *Signed) MulLeft(dst, src []float32, w int) bool {
	if w < 1 || w%SignedColumns != 0 {
		return false
	}
	order := m.k
	if m.pairs {
		order *= 2
	}
	if len(src)%(order*w) != 0 || len(dst) < len(src) {
		panic(fmt.Sprintf("kernel: product of a matrix of order %d with %d numbers in rows of %d, to %d", order, len(src), w, len(dst)))
	}
	var routine func(dst, src unsafe.Pointer, stride, columns int)
	if m.routine >= 0 {
		routine = signedRoutine(m.routine)
	}
	for i := 0; i < len(src); i += order * w {
		if routine != nil {
			routine(unsafe.Pointer(&dst[i]), unsafe.Pointer(&src[i]), 4*w, w)
			continue
		}
		for j := i; j < i+w; j += SignedColumns {
			if m.pairs {
				m.panel(dst[j:], src[j:], w, 1)
				m.panel(dst[j:], src[j:], w, -1)
			} else {
				m.panel(dst[j:], src[j:], w, 0)
			}
		}
	}
	return true
}

// panel multiplies 16 columns. pair is 0 if the numbers are rows of src. It is 1 if they are sums of
// two rows, and −1 if they are differences; then twice the first row of a pair is added to a
// result, or twice the second one is subtracted.
func (m *Signed) panel(dst, src []float32, w int, pair float32) {
	const n = SignedColumns
	input := func(j int) (x [n]float32) {
		if pair == 0 {
			copy(x[:], src[j*w:])
			return x
		}
		a, b := src[2*j*w:][:n], src[(2*j+1)*w:][:n]
		for c, v := range a {
			x[c] = v + pair*b[c]
		}
		return x
	}
	sums := make([][8][n]float32, m.groups)
	for g := range sums {
		s := &sums[g]
		first, second := input(4*g), input(4*g+1)
		if m.k-4*g == 2 {
			for c, a := range first {
				s[0][c], s[1][c] = a+second[c], a-second[c]
			}
			continue
		}
		third, fourth := input(4*g+2), input(4*g+3)
		for c, a := range first {
			left := [2]float32{a + second[c], a - second[c]}
			right := [2]float32{third[c] + fourth[c], third[c] - fourth[c]}
			for i := range 2 {
				for j := range 2 {
					s[i+4*j][c], s[i+2+4*j][c] = left[i]+right[j], left[i]-right[j]
				}
			}
		}
	}
	for i := range m.k {
		terms := m.terms[i*m.groups:][:m.groups]
		negative := terms[0].minus
		total := sums[0][terms[0].which] // of −y, if the first term is subtracted
		for g, t := range terms[1:] {
			term := &sums[g+1][t.which]
			last := g+2 == m.groups && pair == 0
			for c, v := range total {
				switch {
				case last && negative && t.minus:
					total[c] = -v - term[c]
				case last && negative:
					total[c] = term[c] - v
				case t.minus != negative:
					total[c] = v - term[c]
				default:
					total[c] = v + term[c]
				}
			}
		}
		at := i * w
		if pair != 0 {
			if at *= 2; pair < 0 {
				at += w
			}
			for c, v := range total {
				if negative {
					v = -v
				}
				total[c] = v + 2*pair*src[at+c]
			}
		}
		copy(dst[at:at+n], total[:])
	}
}
