package linalg

import (
	"fmt"
	"slices"
	"sync"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// term is one factor of a Kronecker product: a dense matrix, or the Sylvester
// matrix of its order, entries ±1.
type term struct {
	k      int
	matrix []float32 // [k × k]; nil for Sylvester

	// For a matrix by Paley's second construction, which is symmetric: its C [k/2 × k/2], with
	// which it takes half of the multiplications.
	conference []float32

	// For a matrix by Paley of which the kernels have the signs: it multiplies with sums. The
	// transpose of one by the first construction has other signs and is a dense product, because
	// it is not needed often.
	signed *float.Signed

	once sync.Once
	flip []float32 // the transpose, made when it is first needed
}

func (f *term) transposed() []float32 {
	f.once.Do(func() {
		f.flip = make([]float32, f.k*f.k)
		for i := range f.k {
			for j := range f.k {
				f.flip[j*f.k+i] = f.matrix[i*f.k+j]
			}
		}
	})
	return f.flip
}

// left returns F, or Fᵀ.
func (f *term) left(transpose bool) []float32 {
	if transpose && f.conference == nil {
		return f.transposed()
	}
	return f.matrix
}

// sums reports whether [float.Signed] multiplies F, or Fᵀ, with rows of w.
func (f *term) sums(w int, transpose bool) bool {
	return f.signed != nil && w%float.SignedColumns == 0 && (!transpose || f.conference != nil)
}

// inPlace reports whether mul may write over what it multiplies.
func (f *term) inPlace(w int, transpose bool) bool {
	if f.sums(w, transpose) {
		return f.conference == nil
	}
	return f.conference == nil && w > 1 && float.LeftInPlace(f.k, w)
}

// mul sets each of the blocks of dst to F, or Fᵀ, times that of src [k × w]. It may change
// src.
func (f *term) mul(p *parallel.Pool, dst, src []float32, w int, transpose bool) {
	k := f.k
	if w == 1 { // blocks are rows: one product from the right
		right := f.matrix
		if !transpose {
			right = f.transposed()
		}
		float.MatMulNN(p, dst, k, src, k, right, k, len(src)/k, k, k, false)
		return
	}
	if f.sums(w, transpose) {
		f.signed.MulLeft(dst, src, w)
		return
	}
	left, pairs := f.left(transpose), f.conference != nil
	if pairs { // pairs of rows are one row of twice the width
		left, k, w = f.conference, k/2, 2*w
		float.PaleyPairs(dst, src, w/2)
	}
	if float.MulLeft(dst, left, src, k, w, pairs) {
		return
	}
	for i := 0; i < len(src); i += k * w {
		float.MatMulNN(p, dst[i:], w, left, k, src[i:], w, k, w, k, pairs)
	}
}

// product is scale · F₁ ⊗ F₂ ⊗ … ⊗ I. A multiplication takes one pass for each factor, n·ΣK
// operations in total instead of n².
type product struct {
	n     int
	terms []*term
	tail  int // order of the identity
	scale float32
	heavy bool // a factor is large enough for products of many rows at a time
}

// How many numbers of rows are transformed together: as fit the first-level cache, in jobs of
// as many as fit the second-level one, or to make few passes over a large factor.
const (
	nearSize  = 4 << 10
	groupSize = 32 << 10
	stripSize = 1 << 20
	heavyTerm = 512
)

func newProduct(tail int, scale float32, terms ...*term) product {
	t := product{n: tail, terms: terms, tail: tail, scale: scale}
	for _, f := range terms {
		t.n *= f.k
		t.heavy = t.heavy || f.matrix != nil && f.k > heavyTerm
	}
	return t
}

// Width implements [Transform].
func (t *product) Width() int { return t.n }

func (t *product) apply(p *parallel.Pool, x []float32, rows int, transpose bool) {
	size := groupSize
	if t.heavy {
		size = stripSize
	}
	size = max(1, size/t.n) * t.n
	groups := (len(x) + size - 1) / size
	if t.heavy {
		for i := range groups {
			t.multiply(p, x[i*size:min((i+1)*size, len(x))], transpose)
		}
		return
	}
	if groups == 1 {
		t.strips(p, x, transpose)
		return
	}
	p.Run(groups, func(i int) { t.strips(p, x[i*size:min((i+1)*size, len(x))], transpose) })
}

// strips transforms the rows of x, as many at a time as fit the first-level cache.
func (t *product) strips(p *parallel.Pool, x []float32, transpose bool) {
	strip := max(1, nearSize/t.n) * t.n
	for ; len(x) > 0; x = x[min(strip, len(x)):] {
		t.multiply(p, x[:min(strip, len(x))], transpose)
	}
}

// TransformBytes is the memory in which so many threads transform rows.
func TransformBytes(threads int) int64 { return 4 * groupSize * int64(threads) }

// scratch holds the second copy of the rows being transformed.
var scratch sync.Pool

func getScratch(n int) *[]float32 {
	if s, ok := scratch.Get().(*[]float32); ok && cap(*s) >= n {
		*s = (*s)[:n]
		return s
	}
	s := make([]float32, n)
	return &s
}

// multiply transforms the rows of x, factor by factor from the right: the last
// one, a Sylvester matrix in most cases, reads the rows in the order of memory.
func (t *product) multiply(p *parallel.Pool, x []float32, transpose bool) {
	if t.flipped(x, transpose) {
		return
	}
	moves, w := 0, t.tail // how many factors cannot write over what they multiply
	for _, f := range slices.Backward(t.terms) {
		if f.matrix != nil && !f.inPlace(w, transpose) {
			moves++
		}
		w *= f.k
	}
	cur, other := x, []float32(nil)
	if moves > 0 {
		s := getScratch(len(x))
		defer scratch.Put(s)
		other = *s
	}
	scale := t.scale
	w = t.tail
	for _, f := range slices.Backward(t.terms) {
		switch {
		case f.matrix == nil && w == 1 && moves%2 != 0: // so that the last factor writes to x
			float.HadamardTo(other, cur, f.k, scale)
			cur, other = other, cur
			scale = 1
		case f.matrix == nil:
			float.Hadamard(cur, f.k, w, scale)
			scale = 1
		case f.inPlace(w, transpose):
			f.mul(p, cur, cur, w, transpose)
		default:
			f.mul(p, other, cur, w, transpose)
			cur, other = other, cur
		}
		w *= f.k
	}
	if scale != 1 {
		float.Hadamard(cur, 1, 1, scale) // order 1: applies only the scale
	}
	if &cur[0] != &x[0] {
		copy(x, cur)
	}
}

// flipRows is the order of the Sylvester matrix that flipped takes: its butterflies stay
// within a block of the vector kernels.
const flipRows = 16

// flipped is multiply for Sylvester 16 ⊗ F, as 576 = 16·36 has it. A row is a matrix
// X [16 × k] there and becomes H·X·Fᵀ, whose transpose is F·(Xᵀ·H): rows of 16, and F as
// the left factor, both of which fill registers where rows of k do not. Two rows go side by
// side where F is a dense product, whose registers they fill. It returns false and does nothing for
// other products.
func (t *product) flipped(x []float32, transpose bool) bool {
	if len(t.terms) != 2 || t.tail != 1 || t.terms[0].matrix != nil || t.terms[0].k != flipRows || t.terms[1].matrix == nil {
		return false
	}
	f := t.terms[1]
	k, beside := f.k, 2
	if f.conference != nil || f.sums(flipRows, transpose) {
		beside = 1
	}
	size, width := beside*t.n, beside*flipRows
	s := getScratch(2 * size)
	defer scratch.Put(s)
	in, out := (*s)[:size], (*s)[size:]
	for ; len(x) > 0; x = x[min(size, len(x)):] {
		if beside == 1 {
			row := x[:t.n]
			float.HadamardColumns(in, row, k, t.scale)
			f.mul(nil, out, in, width, transpose)
			float.ColumnsToRows(row, out, k)
			continue
		}
		rows := min(beside, len(x)/t.n)
		if rows < beside {
			clear(in)
		}
		for r := range rows {
			float.Transpose(in[r*flipRows:], width, x[r*t.n:][:t.n], k, flipRows, k)
		}
		float.Hadamard(in, flipRows, 1, t.scale)
		f.mul(nil, out, in, width, transpose)
		for r := range rows {
			float.Transpose(x[r*t.n:][:t.n], k, out[r*flipRows:], width, k, flipRows)
		}
	}
	return true
}

// Dense is an arbitrary square matrix as a transform.
type Dense struct{ product }

// NewDense returns the transform T = a, row-major [n × n]. It keeps a, which must not
// change, and its transpose once it is needed.
func NewDense(a []float32, n int) (*Dense, error) {
	if err := checkSquare("dense transform", a, n); err != nil {
		return nil, err
	}
	return &Dense{newProduct(1, 1, &term{k: n, matrix: a})}, nil
}

func checkSquare(what string, a []float32, n int) error {
	if n < 1 || n > MaxWidth || len(a) != n*n {
		return fmt.Errorf("linalg: %s of order %d with %d numbers; want %d (order 1 to %d)", what, n, len(a), n*n, MaxWidth)
	}
	return nil
}

// Apply implements [Transform].
func (d *Dense) Apply(p *parallel.Pool, x []float32, rows int) {
	checkRows(d, x, rows)
	d.apply(p, x, rows, false)
}

// ApplyT implements [Transform].
func (d *Dense) ApplyT(p *parallel.Pool, x []float32, rows int) {
	checkRows(d, x, rows)
	d.apply(p, x, rows, true)
}

// Name implements [Transform].
func (d *Dense) Name() string { return fmt.Sprintf("dense %d", d.n) }

// Kronecker is T = L ⊗ R: with a row x of a·b numbers as a matrix X [a × b], T·x is L·X·Rᵀ.
// It takes a+b operations for each number (FlatQuant, Sun et al. 2024, section 3.2).
type Kronecker struct{ product }

// NewKronecker returns the product of left [a × a] and right [b × b], which it keeps.
func NewKronecker(left []float32, a int, right []float32, b int) (*Kronecker, error) {
	if err := checkSquare("left factor", left, a); err != nil {
		return nil, err
	}
	if err := checkSquare("right factor", right, b); err != nil {
		return nil, err
	}
	if a*b > MaxWidth {
		return nil, fmt.Errorf("linalg: Kronecker product of %d × %d has width %d; the limit is %d", a, b, a*b, MaxWidth)
	}
	return &Kronecker{newProduct(1, 1, &term{k: a, matrix: left}, &term{k: b, matrix: right})}, nil
}

// Apply implements [Transform].
func (k *Kronecker) Apply(p *parallel.Pool, x []float32, rows int) {
	checkRows(k, x, rows)
	k.apply(p, x, rows, false)
}

// ApplyT implements [Transform].
func (k *Kronecker) ApplyT(p *parallel.Pool, x []float32, rows int) {
	checkRows(k, x, rows)
	k.apply(p, x, rows, true)
}

// Name implements [Transform].
func (k *Kronecker) Name() string {
	return fmt.Sprintf("Kronecker %d × %d", k.terms[0].k, k.terms[1].k)
}
