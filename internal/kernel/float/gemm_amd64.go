package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// microKernels returns the register kernels of the active tier.
func microKernels[T real]() *microSet {
	var e T
	single := unsafe.Sizeof(e) == 4
	switch tier := cpu.Active(); {
	case tier >= cpu.AVX512 && single:
		return &avx512Set32
	case tier >= cpu.AVX512:
		return &avx512Set64
	case tier >= cpu.AVX2 && single:
		return &avx2Set32
	case tier >= cpu.AVX2:
		return &avx2Set64
	case single:
		return &portable32
	}
	return &portable64
}
