package float

import (
	"fmt"
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Dense products. The sum over k has one order, fixed by k alone:
//
//	for each block of [blockK] terms, from the first:
//	    s = 0; s = s + a·b, k ascending (fused on the assembly tiers)
//	    c = c + s   (c = s for the first block, unless accumulating)
//
// Each element of c is computed this way on its own, whatever tile, chunk or thread
// it falls to. So results don't depend on the number of threads, row i of c
// doesn't depend on m nor column j on n, and AVX2 and AVX-512 agree to the bit.
// The portable tier rounds each product, and so agrees within rounding only.

// blockK is the number of terms that are summed from zero before they are added
// to c. It bounds the packing buffers, and the growth of rounding errors.
const blockK = 256

// real lists the element types that dense products take.
type real interface{ float32 | float64 }

// operand is a matrix as it lies in memory: row-major with ld elements from row
// to row, transposed relative to its role in the product where trans is set.
type operand[T real] struct {
	data  []T
	ld    int
	trans bool
}

// gemm is one product c[m×n] (+)= a[m×k]·b[k×n].
type gemm[T real] struct {
	m, n, k int
	a       operand[T] // [m×k], or [k×m] where trans
	b       operand[T] // [k×n], or [n×k] where trans
	half    HalfMatrix // b as [n×k] in 16 bits, where half.Data is set
	c       []T
	ldc     int

	accumulate bool
	subtract   bool // the product; accumulate is set too
	lower      bool // leave out tiles that lie wholly above the diagonal

	micro      *microSet
	rows, cols int // of a job
	rowJobs    int
}

// microSet is the register kernels of a tier: each multiplies r rows of a with
// a panel of b that is width columns wide.
type microSet struct {
	width  int
	height int // the tallest kernel
	fn     [maxHeight + 1]microKernel
}

const (
	maxHeight = 12
	maxWidth  = 32
)

// microKernel computes s[i][j] = Σ_p a[i][p]·b[p][j] for its own number of rows
// and all columns of the panel, p < kc ascending, and sets c = s, adds it or
// subtracts it, as update says. Strides count elements.
type microKernel func(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

// The values of update. The assembly kernels compare with these numbers.
const (
	updateSet = iota
	updateAdd
	updateSubtract
)

// update says what to do with c after the terms from k0: see updateSet.
func (g *gemm[T]) update(k0 int) int {
	switch {
	case g.subtract:
		return updateSubtract
	case k0 == 0 && !g.accumulate:
		return updateSet
	}
	return updateAdd
}

// MatMulNT computes c[m×n] = a[m×k]·b[n×k]ᵀ, or adds it to c. All are row-major;
// lda, ldb and ldc are the distances between rows, in elements.
func MatMulNT(p *parallel.Pool, c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, accumulate bool) {
	g := gemm[float32]{m: m, n: n, k: k, c: c, ldc: ldc, accumulate: accumulate,
		a: operand[float32]{a, lda, false}, b: operand[float32]{b, ldb, true}}
	g.run(p)
}

// MatMulNN computes c[m×n] = a[m×k]·b[k×n], or adds it to c.
func MatMulNN(p *parallel.Pool, c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, accumulate bool) {
	g := gemm[float32]{m: m, n: n, k: k, c: c, ldc: ldc, accumulate: accumulate,
		a: operand[float32]{a, lda, false}, b: operand[float32]{b, ldb, false}}
	g.run(p)
}

// MatMulTN computes c[m×n] = aᵀ·b for a[k×m] and b[k×n], or adds it to c.
func MatMulTN(p *parallel.Pool, c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, accumulate bool) {
	g := gemm[float32]{m: m, n: n, k: k, c: c, ldc: ldc, accumulate: accumulate,
		a: operand[float32]{a, lda, true}, b: operand[float32]{b, ldb, false}}
	g.run(p)
}

// Update says what a float64 product does to c.
type Update int

const (
	Set      Update = iota // c = a·b
	Add                    // c = c + a·b
	Subtract               // c = c - a·b
	// SubtractLower is Subtract on and below the diagonal of c; what is above the
	// diagonal stays as it is.
	SubtractLower
)

// MatMulNT64 is c[m×n] = a[m×k]·b[n×k]ᵀ in float64, with the given update.
func MatMulNT64(p *parallel.Pool, c []float64, ldc int, a []float64, lda int, b []float64, ldb int, m, n, k int, u Update) {
	g := gemm[float64]{m: m, n: n, k: k, c: c, ldc: ldc, accumulate: u != Set, subtract: u >= Subtract, lower: u == SubtractLower,
		a: operand[float64]{a, lda, false}, b: operand[float64]{b, ldb, true}}
	g.run(p)
}

// MatMulNN64 is c[m×n] = a[m×k]·b[k×n] in float64, with the given update.
func MatMulNN64(p *parallel.Pool, c []float64, ldc int, a []float64, lda int, b []float64, ldb int, m, n, k int, u Update) {
	g := gemm[float64]{m: m, n: n, k: k, c: c, ldc: ldc, accumulate: u != Set, subtract: u >= Subtract, lower: u == SubtractLower,
		a: operand[float64]{a, lda, false}, b: operand[float64]{b, ldb, false}}
	g.run(p)
}

// run splits c into blocks, which share nothing, and computes them.
func (g *gemm[T]) run(p *parallel.Pool) {
	if g.m < 0 || g.n < 0 || g.k < 0 {
		panic(fmt.Sprintf("kernel: negative size in a product of %d×%d×%d", g.m, g.n, g.k))
	}
	if g.m == 0 || g.n == 0 {
		return
	}
	shape.Fits("c", len(g.c), g.ldc, g.m, g.n)
	if g.k == 0 {
		if !g.accumulate {
			for i := range g.m {
				clear(g.c[i*g.ldc:][:g.n])
			}
		}
		return
	}
	g.a.check("a", g.m, g.k)
	if g.half.Data == nil {
		g.b.check("b", g.k, g.n)
	}
	g.micro = microKernels[T]()
	g.split()
	g.rowJobs = (g.m + g.rows - 1) / g.rows
	p.Run(g.rowJobs*((g.n+g.cols-1)/g.cols), g.job)
}

// split chooses the block of a job: tall enough to pay for packing b, its rows
// of a small enough for the second-level cache, and enough jobs to share out.
func (g *gemm[T]) split() {
	var e T
	tall := blockBytes / (strideK * int(unsafe.Sizeof(e))) / maxHeight * maxHeight
	g.rows = g.m
	if g.m > tall {
		parts := (g.m + tall - 1) / tall
		g.rows = roundUp((g.m+parts-1)/parts, maxHeight)
	}
	if g.m <= maxHeight && g.k > blockK {
		// Bound by memory: read few rows of b at a time, so that the hardware prefetcher can
		// follow them.
		g.cols = maxWidth
		return
	}
	const enough, work = 16, 1 << 19 // jobs, and multiply-adds that are worth one
	rowJobs := (g.m + g.rows - 1) / g.rows
	g.cols = 16 * maxWidth
	for g.cols > maxWidth && rowJobs*((g.n+g.cols-1)/g.cols) < enough && g.rows*g.k*g.cols > work {
		g.cols -= maxWidth
	}
}

// blockBytes bounds the packed rows of a job, to stay in the second-level cache.
const blockBytes = 640 << 10

func roundUp(n, to int) int { return (n + to - 1) / to * to }

func (o *operand[T]) check(name string, rows, cols int) {
	if o.trans {
		rows, cols = cols, rows
	}
	shape.Fits(name, len(o.data), o.ld, rows, cols)
}

// job computes block i of c.
func (g *gemm[T]) job(i int) {
	i0 := i % g.rowJobs * g.rows
	j0 := i / g.rowJobs * g.cols
	i1, j1 := min(i0+g.rows, g.m), min(j0+g.cols, g.n)
	if g.lower && i1 <= j0 {
		return
	}
	if j0 = g.narrow(j0, j1); j0 == j1 {
		return
	}
	s := getScratch[T]()
	defer putScratch(s)
	for k0 := 0; k0 < g.k; k0 += blockK {
		kc := min(blockK, g.k-k0)
		rows, ld := g.packRows(s, i0, i1, k0, kc)
		for j := j0; j < j1; j += g.micro.width {
			g.panel(s, rows, ld, i0, i1, j, min(j+g.micro.width, j1), k0, kc, g.update(k0))
		}
	}
}

// panel multiplies the packed rows i0…i1 with columns j0…j1 of b.
func (g *gemm[T]) panel(s *scratch[T], rows []T, lda, i0, i1, j0, j1, k0, kc, update int) {
	w := g.micro.width
	b, ldb := g.packPanel(s, j0, j1, k0, kc)
	bp := unsafe.Pointer(&b[0])
	for i, left := i0, i1-i0; left > 0; {
		h := min(left, g.micro.height)
		for g.micro.fn[h] == nil {
			h--
		}
		fn := g.micro.fn[h]
		if !g.lower || i+h > j0 {
			ap := unsafe.Pointer(&rows[(i-i0)*lda])
			if j1-j0 == w && !(g.lower && i < j1-1) {
				fn(kc, ap, lda, bp, ldb, unsafe.Pointer(&g.c[i*g.ldc+j0]), g.ldc, update)
			} else {
				// A narrow panel, or one that crosses the diagonal, goes through a whole
				// tile, so that no kernel writes beyond a row or above the diagonal.
				fn(kc, ap, lda, bp, ldb, unsafe.Pointer(&s.tile[0]), w, updateSet)
				for r := range h {
					end := j1
					if g.lower {
						end = min(j1, i+r+1)
					}
					if end > j0 {
						mergeRow(g.c[(i+r)*g.ldc+j0:(i+r)*g.ldc+end], s.tile[r*w:], update)
					}
				}
			}
		}
		i += h
		left -= h
	}
}

func mergeRow[T real](c, sum []T, update int) {
	sum = sum[:len(c)]
	switch update {
	case updateSet:
		copy(c, sum)
	case updateAdd:
		for j, v := range sum {
			c[j] += v
		}
	case updateSubtract:
		for j, v := range sum {
			c[j] -= v
		}
	}
}
