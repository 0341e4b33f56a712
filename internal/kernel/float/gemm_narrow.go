package float

import "unsafe"

// narrowRows is the largest number of rows of a that are multiplied with b without
// copying b into panels first. Such products, of one or a few tokens, take the time of
// reading b. Their sums have the same order as those of every other product.
const narrowRows = 4

// narrowSet is a tier's kernels for such products, by the type of b and the number of
// rows of a; nil where there is none. A kernel multiplies the first 16·blocks columns of
// a's rows with those of 16 rows of b, and sets 16 columns of c or adds to them, as
// update says. The strides lda, ldb and ldc are in bytes.
type narrowSet [F32 + 1][narrowRows + 1]narrowKernel

type narrowKernel func(blocks int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int)

// narrow computes what it can of columns j0…j1 without copying b: whole tiles of 16
// columns. It returns the first column that is left.
func (g *gemm[T]) narrow(j0, j1 int) int {
	a, ok := any(g.a).(operand[float32])
	set := narrowKernels()
	if !ok || set == nil || g.m > narrowRows || g.k%16 != 0 || a.trans || g.subtract || g.half.Data == nil && !g.b.trans {
		return j0
	}
	c := any(g.c).([]float32)
	b, d, ldb := g.half.Data, g.half.DType, g.half.Cols*g.half.DType.Size()
	if b == nil {
		b = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(g.b.data))), 4*len(g.b.data))
		d, ldb = F32, 4*g.b.ld
	}
	for ; j0+16 <= j1; j0 += 16 {
		for k0 := 0; k0 < g.k; k0 += blockK {
			set.tile(c[j0:], g.ldc, a.data[k0:], a.ld, b[j0*ldb+k0*d.Size():], d, ldb, g.m, min(blockK, g.k-k0), g.update(k0))
		}
	}
	return j0
}

// tile multiplies kc columns of `rows` rows of a with 16 rows of b, which are of type d
// and ldb bytes apart.
func (set *narrowSet) tile(c []float32, ldc int, a []float32, lda int, b []byte, d DType, ldb, rows, kc, update int) {
	_ = b[15*ldb+kc*d.Size()-1]
	for i := 0; i < rows; {
		h := min(rows-i, narrowRows)
		for set[d][h] == nil {
			h--
		}
		_, _ = a[(i+h-1)*lda+kc-1], c[(i+h-1)*ldc+15]
		set[d][h](kc/16, unsafe.Pointer(&a[i*lda]), 4*lda, unsafe.Pointer(&b[0]), ldb, unsafe.Pointer(&c[i*ldc]), 4*ldc, update)
		i += h
	}
}
