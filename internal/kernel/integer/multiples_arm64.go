package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intTimes multiplies row tile `tile` of w, which has been unpacked to the bytes u − 2^(Bits−1), or the
// odd integers that these stand for, with its multiples and adds 128 to each byte.
func intTimes(dst []byte, w *Matrix, tile int) {
	groups, size := w.multiplesGroups()
	quads, all := shape.CeilDiv(size, intPlaneCols), shape.CeilDiv(w.Cols, intPlaneCols)
	intTimesNEON(unsafe.Pointer(&dst[0]), w.multiplesAt(tile, groups), groups, quads, all-(groups-1)*quads, w.Bits)
	rest := dst[all*intPlaneCols*intLanes:]
	for i := range rest {
		rest[i] = 128
	}
}

// multiplesAt returns the address of the multiples of row tile `tile`.
func (w *Matrix) multiplesAt(tile, groups int) unsafe.Pointer {
	return unsafe.Pointer(&w.multiples.data[tile*groups*intMultipleBytes(w.Bits)])
}

// times sets what depends on the multiples of row tile `tile`, for weights as they are stored and
// tokens from t on.
func (args *intArgs) times(w *Matrix, a *Activations, tile, t int) {
	groups, size := w.multiplesGroups()
	args.multiples = w.multiplesAt(tile, groups)
	args.sum, args.sumNext = unsafe.Pointer(&a.multipleSums[w.Bits][t*groups]), uintptr(groups*4)
	args.steps = size / intPlaneStep
	args.last = w.Cols/intPlaneStep - (groups-1)*args.steps
	args.multipleGroups = groups
	if args.steps == 0 { // two groups in a step
		args.multipleGroups = w.Cols / intPlaneStep
	}
}

// mulMultiples multiplies a row tile with multiples, as it is stored, with some tokens. Which of
// these routines are faster than unpacking first was never measured: see docs/PERFORMANCE.md.
func (args *intArgs) mulMultiples(bits, width int) {
	switch dot, half := cpu.Active() >= cpu.NEONDot, args.steps == 0; {
	case dot && half:
		intDotMultiplesHalf(args, bits, width)
	case dot:
		intDotMultiples(args, bits, width)
	case half:
		intNEONMultiplesHalf(args, bits, width)
	default:
		intNEONMultiples(args, bits, width)
	}
}
