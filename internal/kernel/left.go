package kernel

import (
	"fmt"
	"unsafe"
)

// leftLimit and leftWidth are the largest order and width that MulLeft takes: so
// that a panel of the right factor, whose rows lie the width apart, stays in the
// first-level cache. With 2048 columns the packed product is faster.
const (
	leftLimit = 160
	leftWidth = 512
)

// MulLeft takes src as blocks [k × w] and sets those of dst to a [k × k] times
// them, on this thread, if k is small and w whole registers wide on the active
// tier; otherwise it returns false and does nothing. Its results are those of
// [Pool.MatMulNN] to the bit. It copies neither factor, which costs that one
// more than the product does.
func MulLeft(dst, a, src []float32, k, w int) bool {
	micro := microKernels[float32]()
	if k < 1 || k > leftLimit || w < 1 || w > leftWidth || w%micro.width != 0 {
		return false
	}
	if len(a) != k*k || len(src)%(k*w) != 0 || len(dst) < len(src) {
		panic(fmt.Sprintf("kernel: product of %d numbers of order %d with %d numbers in blocks of %d × %d, to %d", len(a), k, len(src), k, w, len(dst)))
	}
	for at := 0; at < len(src); at += k * w {
		for j := at; j < at+w; j += micro.width {
			for i := 0; i < k; {
				h := min(k-i, micro.height)
				for micro.fn[h] == nil {
					h--
				}
				micro.fn[h](k, unsafe.Pointer(&a[i*k]), k, unsafe.Pointer(&src[j]), w, unsafe.Pointer(&dst[j+i*w]), w, updateSet)
				i += h
			}
		}
	}
	return true
}
