package float

import (
	"sync"
	"unsafe"
)

// Before they are multiplied, operands are copied ("packed") to buffers in the order in
// which the register kernels read them.

// strideK is the number of elements from row to row of the copy of a: a cache line more
// than blockK, so that the rows do not all fall into the same cache sets.
const strideK = blockK + 16

// scratch is the buffers of one job.
type scratch[T real] struct {
	rows  []T // rows of a, [rows][strideK]
	panel []T // columns of b, [blockK][maxWidth]
	tile  []T // results of a kernel that are not all part of c, [maxHeight][maxWidth]
	wide  []T // rows of 16-bit weights converted to float32, [maxWidth][strideK]
	gram  []T // a part of a Gram matrix, see syrk
}

// The buffers that are not in use, for float32 and float64.
var scratch32, scratch64 sync.Pool

func scratchPool[T real]() *sync.Pool {
	var e T
	if unsafe.Sizeof(e) == 4 {
		return &scratch32
	}
	return &scratch64
}

func getScratch[T real]() *scratch[T] {
	if s, ok := scratchPool[T]().Get().(*scratch[T]); ok {
		return s
	}
	return &scratch[T]{
		panel: make([]T, blockK*maxWidth),
		tile:  make([]T, maxHeight*maxWidth),
	}
}

func putScratch[T real](s *scratch[T]) { scratchPool[T]().Put(s) }

// packRows returns rows i0…i1 and terms k0…k0+kc of a, and the number of elements from row
// to row. If there are few rows, they are used where they are and not copied.
func (g *gemm[T]) packRows(s *scratch[T], i0, i1, k0, kc int) (rows []T, ld int) {
	a := &g.a
	if !a.trans && i1-i0 <= 4 {
		return a.data[i0*a.ld+k0:], a.ld
	}
	if need := (i1 - i0) * strideK; len(s.rows) < need {
		s.rows = make([]T, need)
	}
	rows = s.rows[:(i1-i0)*strideK]
	if a.trans {
		transpose(rows, strideK, a.data[k0*a.ld+i0:], a.ld, kc, i1-i0)
		return rows, strideK
	}
	for i := i0; i < i1; i++ {
		copy(rows[(i-i0)*strideK:][:kc], a.data[i*a.ld+k0:][:kc])
	}
	return rows, strideK
}

// packPanel returns columns j0…j1 and terms k0…k0+kc of b as [kc][width], and the number of
// elements from row to row. Columns from j1 on may hold anything. If a has few rows and b
// is not transposed, the columns are used where they are and not copied.
func (g *gemm[T]) packPanel(s *scratch[T], j0, j1, k0, kc int) (panel []T, ld int) {
	w := g.micro.width
	b := &g.b
	switch {
	case g.half.Data != nil:
		packHalf(any(s).(*scratch[float32]), &g.half, j0, j1, k0, kc, w)
	case b.trans:
		transpose(s.panel, w, b.data[j0*b.ld+k0:], b.ld, j1-j0, kc)
	case g.m <= maxHeight && j1-j0 == w:
		return b.data[k0*b.ld+j0:], b.ld
	case j1-j0 == w && int(unsafe.Sizeof(s.panel[0]))*w == 2*64:
		packLines(s.panel, b.data[k0*b.ld+j0:], b.ld, kc)
	default:
		for p := range kc {
			copy(s.panel[p*w:][:j1-j0], b.data[(k0+p)*b.ld+j0:][:j1-j0])
		}
	}
	return s.panel, w
}

// packLines copies rows of two cache lines, the width of AVX-512 panels, without
// a call for each.
func packLines[T real](dst, src []T, lds, rows int) {
	const line = 128
	var e T
	size := int(unsafe.Sizeof(e))
	_, _ = dst[rows*line/size-1], src[(rows-1)*lds+line/size-1]
	d, s := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	if copyLines(unsafe.Slice((*byte)(d), rows*line), unsafe.Slice((*byte)(s), ((rows-1)*lds)*size+line), lds*size, rows) {
		return
	}
	for p := range rows {
		*(*[line]byte)(unsafe.Add(d, p*line)) = *(*[line]byte)(unsafe.Add(s, p*lds*size))
	}
}

// transpose sets dst[j][i] = src[i][j] for i < rows and j < cols, and leaves the rest of
// dst as it is. ldd and lds are the numbers of elements from row to row.
func transpose[T real](dst []T, ldd int, src []T, lds, rows, cols int) {
	r0, c0 := 0, 0
	switch d := any(dst).(type) {
	case []float32:
		r0, c0 = transpose32(d, ldd, any(src).([]float32), lds, rows, cols)
	case []float64:
		r0, c0 = transposeBlocks64(d, ldd, any(src).([]float64), lds, rows, cols)
	}
	// What the assembly has not done: rows below its blocks, and columns right of them.
	if r0 < rows {
		transposeGo(dst[r0:], ldd, src[r0*lds:], lds, rows-r0, cols)
	}
	if r0 > 0 && c0 < cols {
		transposeGo(dst[c0*ldd:], ldd, src[c0:], lds, r0, cols-c0)
	}
}

// transpose32 is [transposeBlocks] for float32. Rows and columns that do not fill a block
// are transposed by blocks of eight that overlap those before, if there are eight at all.
func transpose32(dst []float32, ldd int, src []float32, lds, rows, cols int) (r, c int) {
	const edge = 8
	blocks := func(i, j, rows, cols int) (r, c int) {
		bytes := unsafe.Slice((*byte)(unsafe.Pointer(&src[i*lds+j])), 4*(len(src)-i*lds-j))
		return transposeBlocks(dst[j*ldd+i:], ldd, bytes, F32, 4*lds, rows, cols)
	}
	if rows == 0 || cols == 0 {
		return 0, 0
	}
	r, c = blocks(0, 0, rows, cols)
	if r == 0 || rows < edge || cols < edge {
		return r, c
	}
	for ; c < cols; c += edge {
		c = min(c, cols-edge)
		blocks(0, c, r, edge)
	}
	for ; r < rows; r += edge {
		r = min(r, rows-edge)
		if _, done := blocks(r, 0, edge, cols); done < cols {
			blocks(r, cols-edge, edge, edge)
		}
	}
	return r, c
}

// transposeGo is the definition of [transpose].
func transposeGo[T real](dst []T, ldd int, src []T, lds, rows, cols int) {
	i := 0
	for ; i+4 <= rows; i += 4 {
		s0, s1, s2, s3 := src[i*lds:][:cols], src[(i+1)*lds:][:cols], src[(i+2)*lds:][:cols], src[(i+3)*lds:][:cols]
		for j := range s0 {
			d := dst[j*ldd+i:][:4]
			d[0], d[1], d[2], d[3] = s0[j], s1[j], s2[j], s3[j]
		}
	}
	for ; i < rows; i++ {
		for j, v := range src[i*lds:][:cols] {
			dst[j*ldd+i] = v
		}
	}
}
