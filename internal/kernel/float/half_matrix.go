package float

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// DType is the floating-point format of stored weights.
type DType byte

const (
	F16  DType = iota + 1 // IEEE binary16
	BF16                  // bfloat16
	F32                   // IEEE binary32
)

var dtypeNames = [...]string{"", "F16", "BF16", "F32"}

// String returns the name that safetensors files use.
func (d DType) String() string {
	if int(d) < len(dtypeNames) && d != 0 {
		return dtypeNames[d]
	}
	return fmt.Sprintf("DType(%d)", byte(d))
}

// Size returns the number of bytes of an element.
func (d DType) Size() int {
	if d == F32 {
		return 4
	}
	return 2
}

// HalfMatrix is a row-major matrix as files store it: little-endian floats at any address,
// which may be in a memory-mapped file.
type HalfMatrix struct {
	Data       []byte
	DType      DType
	Rows, Cols int
}

// Check returns an error unless Data has the size that the shape needs.
func (w *HalfMatrix) Check() error {
	if w.DType < F16 || w.DType > F32 {
		return fmt.Errorf("kernel: weights of type %v; want F16, BF16 or F32", w.DType)
	}
	// Rows and Cols may come from a file: the product of the two must not overflow.
	size, ok := len(w.Data), w.Rows >= 0 && w.Cols >= 0
	if ok && w.Rows > 0 && w.Cols > 0 {
		ok = w.Cols <= size/w.DType.Size()/w.Rows && w.Rows*w.Cols*w.DType.Size() == size
	} else {
		ok = ok && size == 0
	}
	if !ok {
		return fmt.Errorf("kernel: %d bytes for a matrix of %d×%d %v", len(w.Data), w.Rows, w.Cols, w.DType)
	}
	return nil
}

// Row converts row i into dst, which has Cols elements.
func (w *HalfMatrix) Row(dst []float32, i int) {
	sameLen(len(dst), w.Cols)
	w.decode(dst, i, 0)
}

// MatMulHalf sets y[tokens×Rows] to x[tokens×Cols]·Wᵀ. Weights are converted to float32
// panel by panel as they are used. Sums have the order of those of [MatMulNT], so that a
// token gives the same bits alone and among others.
func MatMulHalf(p *parallel.Pool, y []float32, ldy int, x []float32, ldx int, w HalfMatrix, tokens int) {
	if err := w.Check(); err != nil {
		panic(err)
	}
	g := gemm[float32]{m: tokens, n: w.Rows, k: w.Cols, c: y, ldc: ldy,
		a: operand[float32]{x, ldx, false}, half: w}
	g.run(p)
}

// packHalf writes rows j0…j1 and columns k0…k0+kc of w to the panel, as [kc][width].
func packHalf(s *scratch[float32], w *HalfMatrix, j0, j1, k0, kc, width int) {
	size := w.DType.Size()
	lds := w.Cols * size
	r, c := transposeBlocks(s.panel, width, w.Data[j0*lds+k0*size:], w.DType, lds, j1-j0, kc)
	// Columns that do not fill a block are converted row by row, and then transposed.
	if s.wide == nil {
		s.wide = make([]float32, maxWidth*strideK)
	}
	if c < kc {
		for j := range r {
			w.decode(s.wide[j*strideK:][:kc-c], j0+j, k0+c)
		}
		transpose(s.panel[c*width:], width, s.wide, strideK, r, kc-c)
	}
	if left := j1 - j0 - r; left > 0 {
		for j := range left {
			w.decode(s.wide[j*strideK:][:kc], j0+r+j, k0)
		}
		transpose(s.panel[r:], width, s.wide, strideK, left, kc)
	}
}

// decode sets dst to len(dst) elements of row i, from column k0 on.
func (w *HalfMatrix) decode(dst []float32, i, k0 int) {
	at := i*w.Cols + k0
	if w.DType == F32 {
		data := w.Data[4*at:][:4*len(dst)]
		for p := range dst {
			dst[p] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*p:]))
		}
		return
	}
	data := w.Data[2*at:][:2*len(dst)]
	if w.DType == BF16 {
		for p := bf16BytesToF32Blocks(dst, data); p < len(dst); p++ {
			dst[p] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*p:])) << 16)
		}
		return
	}
	for p := f16BytesToF32Blocks(dst, data); p < len(dst); p++ {
		dst[p] = f16ToF32(binary.LittleEndian.Uint16(data[2*p:]))
	}
}
