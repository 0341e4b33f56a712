//go:build !amd64

package kv

func kvSoftmaxRow(p []float32, n int, scale float32, vscale, vmin []uint16) (base float32, ok bool) {
	return 0, false
}

func kvShiftBlocks(dst, x []float32, by float32) int { return 0 }
