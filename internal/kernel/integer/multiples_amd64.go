package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intTimesArgs are the arguments of a routine that multiplies a row tile of signed bytes with the
// multiples of their groups, as intTimesPortable does.
type intTimesArgs struct {
	dst       unsafe.Pointer
	multiples unsafe.Pointer // of the first group
	next      uintptr        // bytes to the next group's
	shifts    unsafe.Pointer // by how much the bits of rows 0, 2, 4 … are shifted down
	up        uint64         // by how much those of the odd rows are shifted up then
	mask      uint32         // the bits of a multiple
	add       uint32         // four times the byte to add
	groups    int
	quads     int // registers of 4 columns of each group but the last
	last      int // and of the last
}

// intMultipleShifts are intTimesArgs' shifts, by the bits of a multiple.
var intMultipleShifts = func() (s [5][8]uint64) {
	for width := range s {
		for pair := range s[width] {
			s[width][pair] = uint64(2 * width * pair)
		}
	}
	return s
}()

// intTimes multiplies row tile `tile` of w, which has been unpacked to signed bytes, with its
// multiples and adds `add` to each byte, with AVX-512.
func intTimes(dst []byte, w *Matrix, tile int, add byte) {
	groups, size := w.multiplesGroups()
	width := intMultipleBits(w.Bits)
	args := intTimesArgs{
		dst: unsafe.Pointer(&dst[0]), multiples: unsafe.Pointer(&w.multiples.data[tile*groups*intMultipleBytes(w.Bits)]),
		next: uintptr(intMultipleBytes(w.Bits)), shifts: unsafe.Pointer(&intMultipleShifts[width]),
		up: uint64(32 - width), mask: 1<<width - 1, add: uint32(add) * 0x01010101,
		groups: groups, quads: shape.CeilDiv(size, intPlaneCols),
	}
	args.last = shape.CeilDiv(w.Cols, intPlaneCols) - (groups-1)*args.quads
	intTimes512(&args)
}

// intMulMultiples multiplies row tiles tile to end-1, as far as they have 16 rows, with tokens t0 to
// t1-1, with weights as they are stored. It returns the first row tile that is not done.
func intMulMultiples(pr *intProduct, a *Activations, tile, end, t0, t1 int) int {
	w := pr.w
	end = min(end, w.Rows/intLanes)
	if cpu.Active() < cpu.AVX512VNNI || !w.multiplesInPlace(a) {
		return tile
	}
	groups, size := w.multiplesGroups()
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
			args.steps, args.last = size/intPlaneStep, shape.CeilDiv(w.Cols-(groups-1)*size, intPlaneStep)
			half := size < intPlaneStep
			if args.groups = groups; half {
				args.groups, args.steps, args.last = 1, w.Cols/intPlaneStep, w.Cols/intPlaneStep
			}
			args.table = unsafe.Pointer(&w.multiples.data[tile*groups*intMultipleBytes(w.Bits)])
			args.scale = unsafe.Pointer(&w.HalfScale[tile*intLanes])
			args.q, args.qNext = unsafe.Pointer(&a.Q[t*a.Stride]), uintptr(a.Stride)
			args.sum, args.sumNext = unsafe.Pointer(&a.multipleSums[w.Bits][t*groups]), uintptr(groups*4)
			args.sx, args.zx = unsafe.Pointer(&a.Scale[t]), unsafe.Pointer(&a.Zero[t])
			args.y, args.yNext = unsafe.Pointer(&pr.y[t*pr.ldy+tile*intLanes]), uintptr(pr.ldy*4)
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
