package float

import "unsafe"

// narrowRows is the largest number of rows of a that are multiplied with b without
// packing it. Such products, of one or a few tokens, are bound by memory. Their sums
// have the same order as those of every other product.
const narrowRows = 4

// narrow computes what it can of columns j0…j1 without packing, whole tiles of
// 16, and returns where it stopped.
func (g *gemm[T]) narrow(j0, j1 int) int {
	a, ok := any(g.a).(operand[float32])
	if !ok || g.m > narrowRows || g.k%16 != 0 || a.trans || g.subtract || g.half.Data == nil && !g.b.trans || !hasNarrow() {
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
			narrowBlock(c[j0:], g.ldc, a.data[k0:], a.ld, b[j0*ldb+k0*d.Size():], d, ldb, g.m, min(blockK, g.k-k0), g.update(k0))
		}
	}
	return j0
}
