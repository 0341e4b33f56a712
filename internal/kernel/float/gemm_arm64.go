package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// microKernels returns the register kernels of the active tier.
func microKernels[T real]() *microSet {
	var e T
	single := unsafe.Sizeof(e) == 4
	switch asm := cpu.Active() >= cpu.NEON; {
	case asm && single:
		return &neonSet32
	case asm:
		return &neonSet64
	case single:
		return &portable32
	}
	return &portable64
}

// arm64 has no kernels that multiply a few tokens without packing.

func hasNarrow() bool { return false }

func narrowBlock(c []float32, ldc int, a []float32, lda int, b []byte, d DType, ldb, rows, kc, update int) {
	panic("kernel: no narrow products on this machine")
}
