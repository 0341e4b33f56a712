package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

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

// intTimesUnpack unpacks row tiles of w to u, with multiples, as intUnpackPair does if zero is 128.
// zero is the byte that stands for 0.
//
// The routines multiply u (2u if integers are odd), not the signed integer: the product is less than
// 2⁸, so that one multiplication of 16 bits does two bytes. The offset times m is subtracted afterwards.
func intTimesUnpack(u *intUnpacked, w *Matrix, tile, tiles int, zero byte) {
	size, groups, of := intTileBytes(w.Bits, w.Cols), w.multiplesSteps(intStep(w.Bits)), intMultipleBytes(w.Bits)
	for i := range tiles {
		packed := w.multiples.data[(tile+i)*groups.n*of:]
		args := intTimesUnpackArgs{
			dst: unsafe.Pointer(&u.data[i*u.next]), src: unsafe.Pointer(&w.Tiles[(tile+i)*size]),
			multiples: unsafe.Pointer(&packed[0]), final: unsafe.Pointer(&packed[(groups.n-1)*of]),
			zero: uint32(zero) * 0x01010101, groups: groups.n, steps: groups.steps, last: groups.last,
		}
		switch wide := cpu.Active() >= cpu.AVX512; {
		case wide && groups.half:
			intUnpackTimesHalf512(&args, w.Bits)
		case wide:
			intUnpackTimes512(&args, w.Bits)
		case groups.half:
			intUnpackTimesHalfAVX2(&args, w.Bits)
		default:
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

// intMulMultiples multiplies row tiles tile to end-1, as far as they have 16 rows, with tokens t0 to
// t1-1, with weights as they are stored. It returns the first row tile that is not done.
func intMulMultiples(pr *intProduct, a *Activations, tile, end, t0, t1 int) int {
	w := pr.w
	end = min(end, w.Rows/intLanes)
	if cpu.Active() < cpu.AVX512VNNI || !w.multiplesInPlace(a) {
		return tile
	}
	for tile < end {
		tiles := min(intOneTiles, end-tile)
		pr.prefetch(tile, tiles)
		for t := t0; t < t1; {
			width := min(intWidth(t1-t, 1), intMultiplesTokens)
			if t1-t > 4 {
				width = intMultiplesTokens
			}
			var args intArgs
			args.weights(w, nil, tile)
			half := args.multiples(w, tile)
			args.fromMultiples(w, a, t)
			steps := w.multiplesSteps(intPlaneStep) // with 4 bits too
			args.steps, args.last = steps.steps, steps.last
			if half { // all of a row is one group of steps for these
				args.groups = 1
			}
			args.qNext, args.scale = uintptr(a.Stride), unsafe.Pointer(&w.HalfScale[tile*intLanes])
			args.y, args.yNext = unsafe.Pointer(&pr.y[pr.at(t, tile)]), uintptr(pr.ldy*4)
			args.tokens, args.tiles = min(width, t1-t), tiles
			if half {
				intVNNIMultiplesHalf(&args, w.Bits, width)
			} else {
				intVNNIMultiples(&args, w.Bits, width)
			}
			t += args.tokens
		}
		pr.branch(tile, tiles, t0, t1-t0)
		tile += tiles
	}
	return tile
}
