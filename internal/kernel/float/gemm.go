package float

import (
	"fmt"
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Products of dense matrices, c[m×n] = a[m×k]·b[k×n]. Every element of c is a sum of k
// terms, which are added in an order that depends on k alone:
//
//	for each block of [blockK] terms, from the first:
//	    s = 0
//	    s = s + a·b for each term of the block (one fused operation in the assembly)
//	    c = c + s   (c = s for the first block, unless the product is added to c)
//
// The order does not depend on which tile, chunk or thread computes the element. So
// results do not depend on the number of threads, row i of c depends on no other row of
// a, column j on no other column of b, and AVX2 and AVX-512 give the same bits. The
// portable tier rounds every product before it is added, so that it agrees with the
// others within rounding only.

// blockK is the number of terms that are summed from zero before the sum is added to c.
// It bounds the buffers that operands are copied to, and the growth of rounding errors.
const blockK = 256

// real lists the element types of dense products.
type real interface{ float32 | float64 }

// operand is a matrix in memory: row-major, with ld elements from the start of a row to
// that of the next. If trans is set, the product uses its transpose.
type operand[T real] struct {
	data  []T
	ld    int
	trans bool
}

// gemm is one product c = a·b, or c = c ± a·b.
type gemm[T real] struct {
	m, n, k int
	a       operand[T] // in memory [m×k], or [k×m] if trans is set
	b       operand[T] // in memory [k×n], or [n×k] if trans is set
	half    HalfMatrix // b stored as [n×k] in 16 bits; used instead of b if half.Data is not nil
	c       []T
	ldc     int // elements from row to row of c

	accumulate bool // add the product to c
	subtract   bool // subtract the product from c; accumulate is set, too
	lower      bool // compute only what lies on or below the diagonal of c

	micro      *microSet
	rows, cols int // of the part of c that one job computes
	rowJobs    int // number of jobs that the rows of c are cut into
}

// microSet is the register kernels of a tier. fn[r] multiplies r rows of a with a panel
// of b, which is `width` columns wide; it is nil where there is no kernel for r rows.
type microSet struct {
	width  int
	height int // the largest r that has a kernel
	fn     [maxHeight + 1]microKernel
}

// The largest height and width of any tier.
const (
	maxHeight = 12
	maxWidth  = 32
)

// microKernel computes s[i][j] = Σ_p a[i][p]·b[p][j], p from 0 to kc−1 in this order, for
// its number of rows and all columns of the panel, in registers. Then it sets c to s, or
// adds or subtracts it, as update says. lda, ldb and ldc count elements.
type microKernel func(kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

// The values of update. The assembly compares with these numbers.
const (
	updateSet = iota
	updateAdd
	updateSubtract
)

// update returns what is done to c with the sum of the block of terms that begins at k0.
func (g *gemm[T]) update(k0 int) int {
	switch {
	case g.subtract:
		return updateSubtract
	case k0 == 0 && !g.accumulate:
		return updateSet
	}
	return updateAdd
}

// MatMulNT sets c[m×n] to a[m×k]·b[n×k]ᵀ, or adds that to c. All matrices are row-major;
// lda, ldb and ldc are the numbers of elements from row to row.
func MatMulNT(p *parallel.Pool, c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, accumulate bool) {
	g := gemm[float32]{m: m, n: n, k: k, c: c, ldc: ldc, accumulate: accumulate,
		a: operand[float32]{a, lda, false}, b: operand[float32]{b, ldb, true}}
	g.run(p)
}

// MatMulNN sets c[m×n] to a[m×k]·b[k×n], or adds that to c.
func MatMulNN(p *parallel.Pool, c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, accumulate bool) {
	g := gemm[float32]{m: m, n: n, k: k, c: c, ldc: ldc, accumulate: accumulate,
		a: operand[float32]{a, lda, false}, b: operand[float32]{b, ldb, false}}
	g.run(p)
}

// MatMulTN sets c[m×n] to aᵀ·b for a[k×m] and b[k×n], or adds that to c.
func MatMulTN(p *parallel.Pool, c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, accumulate bool) {
	g := gemm[float32]{m: m, n: n, k: k, c: c, ldc: ldc, accumulate: accumulate,
		a: operand[float32]{a, lda, true}, b: operand[float32]{b, ldb, false}}
	g.run(p)
}

// Update is what a float64 product does to c.
type Update int

const (
	Set      Update = iota // c = a·b
	Add                    // c = c + a·b
	Subtract               // c = c - a·b
	// SubtractLower is Subtract on and below the diagonal of c. What is above the diagonal
	// stays as it is.
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

// run cuts c into parts and computes them as independent jobs, on the threads of the pool.
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
	g.rowJobs = shape.CeilDiv(g.m, g.rows)
	p.Run(g.rowJobs*shape.CeilDiv(g.n, g.cols), g.job)
}

// split chooses how many rows and columns of c one job computes: so many rows that copying
// b for them pays, so few that their rows of a stay in a core's second-level cache, and
// enough jobs for all threads.
func (g *gemm[T]) split() {
	var e T
	tall := blockBytes / (strideK * int(unsafe.Sizeof(e))) / maxHeight * maxHeight
	g.rows = g.m
	if g.m > tall {
		parts := shape.CeilDiv(g.m, tall)
		g.rows = shape.RoundUp(shape.CeilDiv(g.m, parts), maxHeight)
	}
	if g.m <= maxHeight && g.k > blockK {
		// Reading b takes most of the time. With few rows of b at a time the hardware
		// prefetcher can follow them.
		g.cols = maxWidth
		return
	}
	const enough, work = 16, 1 << 19 // number of jobs wanted, multiply-adds that are worth a job
	rowJobs := shape.CeilDiv(g.m, g.rows)
	g.cols = 16 * maxWidth
	for g.cols > maxWidth && rowJobs*shape.CeilDiv(g.n, g.cols) < enough && g.rows*g.k*g.cols > work {
		g.cols -= maxWidth
	}
}

// blockBytes bounds the memory of a job's copied rows of a, so that they stay in a core's
// second-level cache.
const blockBytes = 640 << 10

// check panics unless the operand, rows×cols as the product uses it, lies in its memory.
func (o *operand[T]) check(name string, rows, cols int) {
	if o.trans {
		rows, cols = cols, rows
	}
	shape.Fits(name, len(o.data), o.ld, rows, cols)
}

// job computes part i of c.
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

// panel multiplies rows i0…i1 of a (`rows`, lda elements apart) with columns j0…j1 of b, for
// the kc terms from k0 on.
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
				// The panel has fewer columns than the kernel, or crosses the diagonal. The kernel
				// writes to a buffer, of which only what belongs to c is taken.
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

// mergeRow sets a row of c to sum, or adds or subtracts it.
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
