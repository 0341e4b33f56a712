package float

import (
	"fmt"
	"unsafe"
)

// leftLimit and leftWidth are the largest k and w that [MulLeft] takes: so small that the
// rows of a panel of src, which are w elements apart, stay in a core's first-level cache.
// With 2048 columns MatMulNN is faster.
const (
	leftLimit = 160
	leftWidth = 512
)

// MulLeft multiplies each block [k × w] of src from the left by a [k × k] and writes the
// results to dst, or adds them to it, on the calling goroutine. dst may be src if [LeftInPlace]
// says so. It returns false and does nothing unless k and w are small and w is a multiple of the
// width of the tier's kernels. Its results are those of [MatMulNN] to the bit. Unlike MatMulNN
// it does not copy its operands, which would take longer than so small a product.
func MulLeft(dst, a, src []float32, k, w int, accumulate bool) bool {
	micro := microKernels[float32]()
	if k < 1 || k > leftLimit || w < 1 || w > leftWidth || w%micro.width != 0 {
		return false
	}
	if len(a) != k*k || len(src)%(k*w) != 0 || len(dst) < len(src) {
		panic(fmt.Sprintf("kernel: product of %d numbers of order %d with %d numbers in blocks of %d × %d, to %d", len(a), k, len(src), k, w, len(dst)))
	}
	update := updateSet
	if accumulate {
		update = updateAdd
	}
	for at := 0; at < len(src); at += k * w {
		for j := at; j < at+w; j += micro.width {
			for i := 0; i < k; {
				h := min(k-i, micro.height)
				for micro.fn[h] == nil {
					h--
				}
				micro.fn[h](k, unsafe.Pointer(&a[i*k]), k, unsafe.Pointer(&src[j]), w, unsafe.Pointer(&dst[j+i*w]), w, update)
				i += h
			}
		}
	}
	return true
}

// LeftInPlace reports whether [MulLeft] may write its results over what it multiplies,
// because one call of a kernel reads all rows before it writes them.
func LeftInPlace(k, w int) bool {
	micro := microKernels[float32]()
	return k >= 1 && k <= micro.height && micro.fn[k] != nil && w >= 1 && w <= leftWidth && w%micro.width == 0
}
