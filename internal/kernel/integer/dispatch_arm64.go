package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intArgs are the arguments of a routine that multiplies one row tile with some tokens.
// Distances are in bytes.
type intArgs struct {
	w       unsafe.Pointer // weights of the row tile
	q       unsafe.Pointer // integers of the first token
	qNext   uintptr        // to the next token
	sum     unsafe.Pointer // group sums of the first token
	sumNext uintptr        // to the next token's
	scale   unsafe.Pointer // scales of the row tile
	rowSum  unsafe.Pointer // row sums of the row tile
	sx      unsafe.Pointer // scales of the tokens
	zx      unsafe.Pointer // zero points of the tokens
	y       unsafe.Pointer // results of the first token
	yNext   uintptr        // to the next token's
	groups  int            // groups of the weights in a row
	steps   int            // steps of each group but the last
	last    int            // steps of the last group
	tokens  int            // tokens whose results are written; the routine may read more

	// The zero points of the weights: see zero.go.
	shift     unsafe.Pointer // shifts of the row tile; nil: no zero points
	shiftNext uintptr        // to the next group's
	fsum      unsafe.Pointer // group sums of the first token as floats
	fsumNext  uintptr        // to the next token's

	// Where the routine is: addresses, which may be just after what they point into.
	//lint:ignore U1000 only the assembly uses them
	shiftAt, fsumAt uintptr

	// For weights with multiples as they are stored. Then sum is the tokens' sums over the
	// groups that share a multiple, of which steps and last count the steps of 32 columns.
	multiples      unsafe.Pointer // of the row tile's first group
	multipleGroups int            // groups that share a multiple; with groups of 16 inputs, steps

	// For activations in groups of channels. Then steps and last count the steps of a part,
	// and the routines count left and total down.
	parts     int // parts of each group but the last
	lastParts int // parts of the last group
	left      int // parts of this group that are not done
	total     int // parts of the row that are not done
}

// weights sets what depends on the matrix and the row tile. It returns the number of bits
// that the routine has to be for: 8 if the weights have been unpacked to u.
func (args *intArgs) weights(w *Matrix, u *intUnpacked, tile int) (bits int) {
	groups, size := intGroups(w.Cols, w.Group)
	tiles := w.tiles(u, tile)
	step := intStep(tiles.bits)
	args.w = unsafe.Pointer(&tiles.data[0])
	args.shift, args.shiftNext, _ = w.shiftAt(tile)
	args.fsumNext = uintptr(groups * 4)
	args.rowSum = unsafe.Pointer(&w.RowSum[tile*intLanes])
	args.groups, args.steps = groups, size/step
	args.last = shape.CeilDiv(w.Cols, step) - (groups-1)*args.steps
	return tiles.bits
}

// intPlaneTokens is the largest number of tokens that are multiplied with bit planes directly
// if the CPU has the int8 dot product. For more tokens a row tile is first unpacked to
// bytes. Without the dot product the routines for bytes are slower than those for planes.
const intPlaneTokens = 8

// intUnpack unpacks row tiles of w to u.
func intUnpack(u *intUnpacked, w *Matrix, tile, tiles int) {
	size, steps, add := intTileBytes(w.Bits, w.Cols), shape.CeilDiv(w.Cols, intPlaneStep), int(intAdd(w))*0x01010101
	table := w.levels
	if w.multiples != nil && w.Bits == 4 {
		table = &intFourBits
	}
	for i := range tiles {
		src := w.Tiles[(tile+i)*size:][:size]
		dst := u.data[i*u.next:][:u.next]
		if table != nil {
			intUnpackLevelsNEON(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), intLevelSteps(w.Cols), unsafe.Pointer(table))
		} else {
			intUnpackNEON(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), steps, add, w.Bits)
		}
		if w.multiples != nil {
			intTimes(dst, w, tile+i)
		}
	}
}

// intUnpackFirst reports whether so many tokens are multiplied with the weights unpacked to bytes.
// With multiples [intMultiplesMost] is the number of tokens.
func intUnpackFirst(w *Matrix, a *Activations, tokens int) bool {
	switch {
	case w.multiples != nil:
		return !w.multiplesInPlace(a)
	case intPlanar(w.Bits):
		return a.ActGroup > 0 || !w.wholeSteps() || cpu.Active() >= cpu.NEONDot && tokens > intPlaneTokens
	}
	return w.levels != nil
}

// ByteGroups reports whether this machine has fast products with activations of 8 bits
// in groups of channels. Without, they are right but slow.
func ByteGroups() bool { return false }

// intMulPair multiplies row tiles tile and tile+1 with tokens t0…t1-1.
func intMulPair(pr *intProduct, a *Activations, tile, t0, t1 int) {
	if cpu.Active() < cpu.NEON || a.bytes() {
		intMulPairPortable(pr, a, tile, t0, t1)
		return
	}
	var u *intUnpacked
	if intUnpackFirst(pr.w, a, t1-t0) {
		u = newIntUnpacked(pr.w, tile, intUnpack)
		defer u.free()
	}
	for i := tile; i < min(tile+2, shape.CeilDiv(pr.w.Rows, intLanes)); i++ {
		intMulTile(pr, a, u, i, t0, t1)
	}
}

// intMulTile multiplies a row tile with tokens t0…t1-1.
func intMulTile(pr *intProduct, a *Activations, u *intUnpacked, tile, t0, t1 int) {
	w := pr.w
	var args intArgs
	bits := args.weights(w, u, tile)
	scales := newIntScales(w, tile, tile+1)
	defer scales.free()
	args.scale = scales.at()
	parts := 0
	args.sumNext = uintptr(args.groups * 4)
	if a.ActGroup > 0 {
		parts = args.group(w, a, bits)
	}
	// Routines write all 16 rows of a tile. If the matrix has not so many, they write to edge.
	rows := min(w.Rows-tile*intLanes, intLanes)
	var edge *[intWidth * intLanes]float32
	if rows < intLanes {
		edge = new([intWidth * intLanes]float32)
	}
	args.qNext = uintptr(a.Stride)
	for t := t0; t < t1; t += args.tokens {
		// A routine for more tokens than there are takes less time than reading the weights twice.
		width := min(t1-t, intWidth)
		args.tokens = width
		if width == 3 {
			width = 4
		}
		args.from(a, t, parts)
		multiples := w.multiples != nil && u == nil
		if multiples {
			args.times(w, a, tile, t)
		}
		args.y, args.yNext = unsafe.Pointer(&pr.y[pr.at(t, tile)]), uintptr(pr.ldy*4)
		if edge != nil {
			args.y, args.yNext = unsafe.Pointer(edge), intLanes*4
		}
		switch dot := cpu.Active() >= cpu.NEONDot; {
		case multiples:
			args.mulMultiples(bits, width)
		case dot && parts > 0:
			intDotGroup(&args, bits, width)
		case dot:
			intDot(&args, bits, width)
		case parts > 0:
			intNEONGroup(&args, bits, width)
		default:
			intNEON(&args, bits, width)
		}
		if edge != nil {
			for i := range args.tokens {
				copy(pr.y[pr.at(t+i, tile):][:rows], edge[i*intLanes:])
			}
		}
		pr.branch(tile, 1, t, args.tokens)
	}
}

// intWidth is the largest number of tokens that a routine takes.
const intWidth = 4

// intFloatPair is intMulPair for float tokens.
func intFloatPair(pr *intProduct, x []float32, ldx, tile, t0, t1 int) {
	if cpu.Active() < cpu.NEON {
		intFloatPairPortable(pr, x, ldx, tile, t0, t1)
		return
	}
	var u *intUnpacked
	if pr.w.packed() {
		u = newIntUnpacked(pr.w, tile, intUnpack)
		defer u.free()
	}
	for i := tile; i < min(tile+2, shape.CeilDiv(pr.w.Rows, intLanes)); i++ {
		intFloatTile(pr, x, ldx, u, i, t0, t1)
	}
}

// intFloatTile is intMulTile for float tokens. The routines add to what the sums begin with,
// and leave the results there.
func intFloatTile(pr *intProduct, x []float32, ldx int, u *intUnpacked, tile, t0, t1 int) {
	w := pr.w
	var args intArgs
	bits := args.weights(w, u, tile)
	scales := newIntScales(w, tile, tile+1)
	defer scales.free()
	args.scale = scales.at()
	rows := min(w.Rows-tile*intLanes, intLanes)
	args.qNext = uintptr(ldx * 4)
	sums := new([2 * intLanes]float32)
	args.y = unsafe.Pointer(sums)
	for t := t0; t < t1; {
		width := min(2, t1-t)
		args.q = unsafe.Pointer(&x[t*ldx])
		if pr.sums != nil {
			args.fsum = unsafe.Pointer(&pr.sums[t*args.groups])
		}
		clear(sums[:])
		intFloatNEON(&args, bits, width)
		for i := range width {
			copy(pr.y[pr.at(t+i, tile):][:rows], sums[i*intLanes:])
		}
		pr.branch(tile, 1, t, width)
		t += width
	}
}

// intMulOne does nothing: this architecture has no kernel for many row tiles and one token.
func intMulOne(_ *intProduct, _ *Activations, tile, _ int) int { return tile }

// intMulAMX does nothing: this architecture has no AMX.
func intMulAMX(_ *intProduct, _ *Activations, tile, _, _, _ int) int { return tile }

// intMulMultiples does nothing: on this architecture intMulPair multiplies with weights with multiples
// as they are stored, too.
func intMulMultiples(_ *intProduct, _ *Activations, tile, _, _, _ int) int { return tile }
