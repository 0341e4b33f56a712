package float

import (
	"encoding/binary"
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// Transpose sets dst[j][i] = src[i][j] for i < rows and j < cols. ldd and lds are the
// numbers of elements from row to row.
func Transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	shape.Fits("dst", len(dst), ldd, cols, rows)
	shape.Fits("src", len(src), lds, rows, cols)
	transpose(dst, ldd, src, lds, rows, cols)
}

// TransposeBytes sets dst[j][i] = src[i][j] for i < rows and j < cols. ldd and lds are the
// numbers of bytes from row to row.
func TransposeBytes(dst []byte, ldd int, src []byte, lds, rows, cols int) {
	i := 0
	for ; i+8 <= rows; i += 8 {
		j := 0
		for ; j+8 <= cols; j += 8 {
			var x [8]uint64
			for k := range x {
				x[k] = binary.LittleEndian.Uint64(src[(i+k)*lds+j:])
			}
			// A block of 8×8 bytes is transposed in three steps: its off-diagonal quarters
			// of 4×4 bytes are swapped, then those of 2×2 bytes in each quarter, then those
			// of 1×1.
			for k := range 4 {
				a, b := x[k], x[k+4]
				x[k], x[k+4] = a&0x00000000ffffffff|b<<32, a>>32|b&0xffffffff00000000
			}
			for _, k := range [4]int{0, 1, 4, 5} {
				a, b := x[k], x[k+2]
				x[k], x[k+2] = a&0x0000ffff0000ffff|b&0x0000ffff0000ffff<<16, a>>16&0x0000ffff0000ffff|b&0xffff0000ffff0000
			}
			for k := 0; k < 8; k += 2 {
				a, b := x[k], x[k+1]
				x[k], x[k+1] = a&0x00ff00ff00ff00ff|b&0x00ff00ff00ff00ff<<8, a>>8&0x00ff00ff00ff00ff|b&0xff00ff00ff00ff00
			}
			for k, v := range x {
				binary.LittleEndian.PutUint64(dst[(j+k)*ldd+i:], v)
			}
		}
		for ; j < cols; j++ {
			for k := range 8 {
				dst[j*ldd+i+k] = src[(i+k)*lds+j]
			}
		}
	}
	for ; i < rows; i++ {
		for j, v := range src[i*lds:][:cols] {
			dst[j*ldd+i] = v
		}
	}
}

// Bytes returns the memory of q as bytes.
func Bytes(q []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(q))), len(q))
}
