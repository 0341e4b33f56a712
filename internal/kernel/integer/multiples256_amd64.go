package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
)

// Multiples with AVX2 and AVX-VNNI.

// multiples sets what the routines for multiples take otherwise than [intArgs.weights] has set. For
// groups of 16 columns there are routines that take two at once.
func (args *intArgs) multiples(w *Matrix, tile int) (half bool) {
	step := intStep(w.Bits)
	if half = w.multiples.group < intPlaneStep; half {
		step = intPlaneStep
	}
	groups := w.multiplesSteps(step)
	args.table = unsafe.Pointer(&w.multiples.data[tile*groups.n*intMultipleBytes(w.Bits)])
	args.groups, args.steps, args.last = groups.n, groups.steps, groups.last
	args.sumNext = uintptr(groups.n * 4)
	return half
}

// fromMultiples is [intArgs.from] for those routines.
func (args *intArgs) fromMultiples(w *Matrix, a *Activations, t int) {
	args.q, args.sum = unsafe.Pointer(&a.Q[t*a.Stride]), unsafe.Pointer(&a.multipleSums[w.Bits][t*args.groups])
	args.sx, args.zx = unsafe.Pointer(&a.Scale[t]), unsafe.Pointer(&a.Zero[t])
}

// multiplyMultiples is [intArgs.multiply] for those routines.
func (args *intArgs) multiplyMultiples(bits, width int, half bool) {
	switch vnni := cpu.Active() == cpu.AVXVNNI; {
	case vnni && half:
		intAVXVNNIMultiplesHalf(args, bits, width)
	case vnni:
		intAVXVNNIMultiples(args, bits, width)
	case half:
		intAVX2MultiplesHalf(args, bits, width)
	default:
		intAVX2Multiples(args, bits, width)
	}
}
