package kv

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// kvSoftmaxRow computes what kvProbabilities does, in assembly; ok is false if the active
// tier has none. All slices reach to the end of the last block of 16.
func kvSoftmaxRow(p []float32, n int, scale float32, vscale, vmin []uint16) (base float32, ok bool) {
	if cpu.Active() < cpu.AVX512 || n == 0 || !(scale > 0) {
		return 0, false
	}
	end := alignUp(n, kvLanes)
	_, _, _ = p[end-1], vscale[end-1], vmin[end-1]
	return kvSoftmaxavx512(kvFirst(p), n, scale, unsafe.Pointer(&vscale[0]), unsafe.Pointer(&vmin[0])), true
}

// kvShiftBlocks writes x+by to dst, whole blocks of 16, and returns how many numbers
// those are.
func kvShiftBlocks(dst, x []float32, by float32) int {
	n := kvBlocks(len(dst))
	if n == 0 {
		return 0
	}
	_ = x[n-1]
	if cpu.Active() >= cpu.AVX512 {
		kvShiftavx512(kvFirst(dst), kvFirst(x), by, n/16)
	} else {
		kvShiftavx2(kvFirst(dst), kvFirst(x), by, n/16)
	}
	return n
}
