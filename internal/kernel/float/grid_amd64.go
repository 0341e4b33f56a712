package float

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// The functions below do the blocks of 16 of their slices on the active tier, and
// return how many numbers those are.

func gridErrorBlocks(w, d []float32, g *GridStep, lanes *[gridLanes]float32) int {
	n := elemBlocks(len(w))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		gridErroravx512(first(w), first(d), g, 1/g.Scale, lanes, n/16)
	default:
		gridErroravx2(first(w), first(d), g, 1/g.Scale, lanes, n/16)
	}
	return n
}

func gridRoundBlocks(q []int8, w []float32, g *GridStep) int {
	n := elemBlocks(len(w))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		gridRoundavx512(unsafe.Pointer(&q[0]), first(w), g, n/16)
	default:
		gridRoundavx2(unsafe.Pointer(&q[0]), first(w), g, n/16)
	}
	return n
}

func gridValuesBlocks(dst []float32, q []int8, g *GridStep) int {
	n := elemBlocks(len(dst))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		gridValuesavx512(first(dst), unsafe.Pointer(&q[0]), g, n/16)
	default:
		gridValuesavx2(first(dst), unsafe.Pointer(&q[0]), g, n/16)
	}
	return n
}

func gridRoundEachBlocks(q []int8, e, w, scale, shift []float32, g *GridStep, share float32) int {
	n := elemBlocks(len(w))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		gridRoundEachavx512(unsafe.Pointer(&q[0]), first(e), first(w), first(scale), first(shift), g, share, n/16)
	default:
		gridRoundEachavx2(unsafe.Pointer(&q[0]), first(e), first(w), first(scale), first(shift), g, share, n/16)
	}
	return n
}

func rangeBlocks(x []float32) (least, most float32, n int) {
	n = elemBlocks(len(x))
	var lanes [3][gridLanes]float32
	switch {
	case n == 0:
		return 0, 0, 0
	case cpu.Active() >= cpu.AVX512:
		rangeavx512(first(x), &lanes, n/16)
	default:
		rangeavx2(first(x), &lanes, n/16)
	}
	for i, bad := range lanes[2] {
		least, most = min(least, lanes[0][i])+bad, max(most, lanes[1][i])+bad
	}
	return least, most, n
}

func gridTurnBlocks(q []int8, e, gradient, change, scale, shift []float32, g *GridStep, h float32) (n int, any bool) {
	n = elemBlocks(len(q))
	switch {
	case n == 0:
	case cpu.Active() >= cpu.AVX512:
		any = gridTurnavx512(unsafe.Pointer(&q[0]), first(e), first(gradient), first(change), first(scale), first(shift), g, h, n/16) != 0
	default:
		any = gridTurnavx2(unsafe.Pointer(&q[0]), first(e), first(gradient), first(change), first(scale), first(shift), g, h, n/16) != 0
	}
	return n, any
}
