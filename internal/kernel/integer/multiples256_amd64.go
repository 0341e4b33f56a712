package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Multiples with AVX2 and AVX-VNNI.

// intTimesUnpackArgs are the arguments of a routine that unpacks a row tile with multiples to bytes.
type intTimesUnpackArgs struct {
	dst       unsafe.Pointer
	src       unsafe.Pointer
	multiples unsafe.Pointer // of the first group
	final     unsafe.Pointer // of the last group; only for groups of half a step
	zero      uint32         // four times the byte that stands for 0
	groups    int
	steps     int // of each group but the last; for groups of half a step, all of the row's
	last      int // of the last group
}

// intTimesUnpack unpacks row tiles of w to u, with multiples, as intUnpackPair does if zero is 128, with
// AVX2. zero is the byte that stands for 0.
//
// The routines multiply u, not the signed integer: u·m is less than 2⁸, so that one multiplication
// of 16 bits does two bytes. 2^(Bits−1)·m is subtracted afterwards.
func intTimesUnpack(u *intUnpacked, w *Matrix, tile, tiles int, zero byte) {
	size, groups, of := intTileBytes(w.Bits, w.Cols), w.multiplesSteps(intStep(w.Bits)), intMultipleBytes(w.Bits)
	for i := range tiles {
		packed := w.multiples.data[(tile+i)*groups.n*of:]
		args := intTimesUnpackArgs{
			dst: unsafe.Pointer(&u.data[i*u.next]), src: unsafe.Pointer(&w.Tiles[(tile+i)*size]),
			multiples: unsafe.Pointer(&packed[0]), final: unsafe.Pointer(&packed[(groups.n-1)*of]),
			zero: uint32(zero) * 0x01010101, groups: groups.n, steps: groups.steps, last: groups.last,
		}
		if groups.half {
			intUnpackTimesHalfAVX2(&args, w.Bits)
		} else {
			intUnpackTimesAVX2(&args, w.Bits)
		}
	}
}

// intMultipleSteps are the steps of groups that share multiples, as the routines take them.
type intMultipleSteps struct {
	n     int  // groups of a row
	steps int  // of each group but the last; with half, all of the row's
	last  int  // of the last group
	half  bool // groups are half a step
}

// multiplesSteps returns them. A step has so many columns.
func (w *Matrix) multiplesSteps(step int) intMultipleSteps {
	n, size := w.multiplesGroups()
	steps := shape.CeilDiv(w.Cols, step)
	if w.multiples.group < step {
		return intMultipleSteps{n, steps, steps, true}
	}
	return intMultipleSteps{n, size / step, steps - (n-1)*(size/step), false}
}

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
