package branch

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// fold is [foldGo] for all columns, on the active tier. The length of x is a multiple of
// 64.
func fold(y, x []float32) {
	n := len(x)
	tier := cpu.Active()
	if tier < cpu.AVX2 {
		foldGo(y, x, 0, n/4)
		return
	}
	foldGo(y, x, 0, 16) // column 0 is folded with itself, which the assembly does not do
	_ = y[n-1]
	if tier >= cpu.AVX512 {
		foldavx512(unsafe.Pointer(&y[0]), unsafe.Pointer(&x[0]), n)
	} else {
		foldavx2(unsafe.Pointer(&y[0]), unsafe.Pointer(&x[0]), n)
	}
}
