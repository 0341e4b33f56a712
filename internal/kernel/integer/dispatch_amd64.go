package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intArgs are the arguments of a routine that multiplies two row tiles (AVX2: one) with some
// tokens. Distances are in bytes.
type intArgs struct {
	w         unsafe.Pointer // weights of the first row tile
	wNext     uintptr        // to the second row tile; 0: multiply the first one twice
	q         unsafe.Pointer // the first token: int8, or float32 for the routines of float tokens
	qNext     uintptr        // to the next token
	sum       unsafe.Pointer // group sums of the first token
	sumNext   uintptr        // to the next token's
	scale     unsafe.Pointer // scales of the first row tile
	scaleNext uintptr        // to the second row tile's; routines for one token: to the next group's, 32 if scales have 16 bits
	rowSum    unsafe.Pointer // row sums of the first row tile
	rowNext   uintptr        // to the second row tile's
	sx        unsafe.Pointer // scales of the tokens
	zx        unsafe.Pointer // zero points of the tokens
	y         unsafe.Pointer // results of the first token and row tile
	yNext     uintptr        // to the next token's
	yTile     uintptr        // to the second row tile's
	add       unsafe.Pointer // what the routines of two tiles add to the result: the branch
	addNext   uintptr        // to the next token's
	addTile   uintptr        // to the second row tile's
	table     unsafe.Pointer // the bytes that indices stand for, for routines that look levels up
	groups    int            // groups of the weights in a row
	steps     int            // steps of each group but the last
	last      int            // steps of the last group
	tokens    int            // tokens whose results are written; the routine may read more
	tiles     int            // row tiles, one after the other, for the VNNI routines for one token

	// The zero points of the weights: see zero.go.
	shift     unsafe.Pointer // shifts of the first row tile; nil: no zero points
	shiftNext uintptr        // to the next group's
	shiftTile uintptr        // to the second row tile's
	fsum      unsafe.Pointer // group sums of the first token as floats
	fsumNext  uintptr        // to the next token's
	shifted   int            // for AVX-512 VNNI, 1: the group sums are times the shift, which is one for all

	// Where the routine is: addresses, which may be just after what they point into.
	//lint:ignore U1000 only the assembly uses them
	shiftAt, fsumAt uintptr

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
	bits, next := w.Bits, intTileBytes(w.Bits, w.Cols)
	if u != nil {
		bits, next = 8, u.next
		args.w = unsafe.Pointer(&u.data[(tile-u.first)*next])
	} else {
		args.w = unsafe.Pointer(&w.Tiles[tile*next])
	}
	step := intStep(bits)
	steps := shape.CeilDiv(w.Cols, step)
	args.table = unsafe.Pointer(w.levels)
	args.shift, args.shiftNext, args.shiftTile = w.shiftAt(tile)
	args.fsumNext = uintptr(groups * 4)
	args.rowSum = unsafe.Pointer(&w.RowSum[tile*intLanes])
	args.groups, args.steps = groups, size/step
	args.last = steps - (groups-1)*args.steps
	args.wNext, args.scaleNext, args.rowNext, args.yTile = 0, 0, 0, 0
	if (tile+1)*intLanes < w.Rows {
		args.wNext = uintptr(next)
		args.scaleNext = uintptr(groups * intLanes * 4)
		args.rowNext, args.yTile = intLanes*4, intLanes*4
	} else {
		args.shiftTile = 0
	}
	return bits
}

// shifts sets the group sums of tokens from t on to those that are times the shift, if w has
// one zero point for all and they are computed.
func (args *intArgs) shifts(w *Matrix, a *Activations, t int) {
	if w.oneZero && w.shift != nil && w.shift[0] == a.shiftedBy {
		args.shifted, args.fsum = 1, unsafe.Pointer(&a.shifted[t*args.groups])
	}
}

// intWidth returns the number of tokens of the routine to call if n tokens are left. It may be
// larger than n, because that takes less time than reading the weights twice. The AVX2
// routines, which multiply one row tile, take up to 4 tokens.
func intWidth(n, tiles int) int {
	switch {
	case n >= 9 && tiles == 2:
		return 12
	case n >= 5 && tiles == 2:
		return 8
	case n >= 3:
		return 4
	}
	return max(n, tiles) // the routines for two row tiles take at least two tokens
}

// ByteGroups reports whether this machine has fast products with activations of 8 bits
// in groups of channels. Without, they are right but slow.
func ByteGroups() bool { return cpu.Active() == cpu.AVXVNNI || cpu.Active() >= cpu.AVX512VNNI }

// intMulPair multiplies row tiles tile and tile+1 with tokens t0…t1-1.
func intMulPair(pr *intProduct, a *Activations, tile, t0, t1 int) {
	if a.bytes() && !ByteGroups() {
		intMulPairPortable(pr, a, tile, t0, t1)
		return
	}
	vnni := cpu.Active() >= cpu.AVX512VNNI
	var u *intUnpacked
	if cpu.Active() >= cpu.AVX2 && intUnpackFirst(pr.w, a, t1-t0) {
		u = newIntUnpacked(pr.w, tile, intUnpack)
		defer u.free()
	}
	switch {
	case vnni && t1-t0 > 1:
		intMulTiles(pr, a, u, tile, 2, t0, t1)
	case cpu.Active() >= cpu.AVX2:
		intMulTiles(pr, a, u, tile, 1, t0, t1)
		if (tile+1)*intLanes < pr.w.Rows {
			intMulTiles(pr, a, u, tile+1, 1, t0, t1)
		}
	default:
		intMulPairPortable(pr, a, tile, t0, t1)
	}
}

// intFloatPair is intMulPair for float tokens.
func intFloatPair(pr *intProduct, x []float32, ldx, tile, t0, t1 int) {
	var u *intUnpacked
	if cpu.Active() >= cpu.AVX2 && pr.w.packed() && (pr.w.Bits > 3 || pr.w.multiples != nil || !pr.w.wholeSteps()) {
		u = newIntUnpacked(pr.w, tile, intUnpack)
		defer u.free()
	}
	switch {
	case cpu.Active() >= cpu.AVX512:
		intFloatTiles(pr, x, ldx, u, tile, 2, t0, t1)
	case cpu.Active() >= cpu.AVX2:
		intFloatTiles(pr, x, ldx, u, tile, 1, t0, t1)
		if (tile+1)*intLanes < pr.w.Rows {
			intFloatTiles(pr, x, ldx, u, tile+1, 1, t0, t1)
		}
	default:
		intFloatPairPortable(pr, x, ldx, tile, t0, t1)
	}
}

// intUnpackFirst reports whether a pair of row tiles of w is unpacked to bytes before some
// tokens are multiplied with it.
func intUnpackFirst(w *Matrix, a *Activations, tokens int) bool {
	vnni := cpu.Active() >= cpu.AVX512VNNI
	if w.levels != nil {
		return !intLevelsInPlace(w, a) || vnni && tokens > intLevelTokens
	}
	if w.multiples != nil {
		return vnni || !w.multiplesInPlace(a)
	}
	return intPlanar(w.Bits) && (a.ActGroup > 0 || !w.wholeSteps() || vnni && tokens > intPlaneTokens)
}

// intEdge is a buffer for the results of row tiles of which the matrix has fewer than 16
// rows, because routines write 16.
type intEdge [intTokens * 2 * intLanes]float32

// newIntEdge returns such a buffer, or nil if so many rows are whole tiles.
func newIntEdge(rows int) *intEdge {
	if rows%intLanes == 0 {
		return nil
	}
	return new(intEdge)
}

// output sets where the results of the tokens from t on go: to y, or to edge if the matrix has
// only part of the last row tile. rows is the number of its rows in the one or two tiles.
func (args *intArgs) output(pr *intProduct, edge *intEdge, tile, rows, t int) {
	args.y, args.yNext = unsafe.Pointer(&pr.y[pr.at(t, tile)]), uintptr(pr.ldy*4)
	if rows%intLanes != 0 {
		args.y, args.yNext = unsafe.Pointer(edge), 2*intLanes*4
	}
}

// copyEdge copies the results from edge to y if they are in edge.
func (args *intArgs) copyEdge(pr *intProduct, edge *intEdge, tile, rows, t int) {
	if rows%intLanes == 0 {
		return
	}
	for i := range args.tokens {
		at := pr.at(t+i, tile)
		copy(pr.y[at:at+rows], edge[i*2*intLanes:])
	}
}

// intMulTiles multiplies one or two row tiles with tokens t0…t1-1: two with AVX-512 VNNI, unless
// there is only one token, and one with the other tiers.
func intMulTiles(pr *intProduct, a *Activations, u *intUnpacked, tile, tiles, t0, t1 int) {
	w := pr.w
	var args intArgs
	bits := args.weights(w, u, tile)
	scales := newIntScales(w, tile, tile+tiles)
	defer scales.free()
	args.scale = scales.at()
	parts := 0
	args.sumNext = uintptr(args.groups * 4)
	if a.ActGroup > 0 {
		parts, args.rowNext = args.group(w, a, bits), 0
	}
	multiples := u == nil && w.multiples != nil
	half := multiples && args.multiples(w, tile)
	rows := min(w.Rows-tile*intLanes, tiles*intLanes)
	edge := newIntEdge(rows)
	args.qNext, args.tiles = uintptr(a.Stride), 1
	pr.prefetch(tile, tiles)
	// With few tokens most of the branch's time is reading its coefficients: they are prefetched
	// here, and the branch is added after the product. With many tokens the branch is computed
	// before, and the routine adds it.
	fused := tiles == 2 && (pr.c != nil || pr.bytes != nil) && t1-t0 > intTokens
	var sums branch.PairSums
	args.add, args.addNext, args.addTile = unsafe.Pointer(&branch.Nothing), 0, 0
	if fused {
		args.add, args.addNext = unsafe.Pointer(&sums), 2*intLanes*4
		if args.yTile != 0 {
			args.addTile = intLanes * 4
		}
	}
	for t := t0; t < t1; {
		width := intWidth(t1-t, tiles)
		args.tokens = min(width, t1-t)
		if multiples {
			args.fromMultiples(w, a, t)
		} else {
			args.from(a, t, parts)
		}
		if cpu.Active() >= cpu.AVX512VNNI {
			args.shifts(w, a, t)
		}
		args.output(pr, edge, tile, rows, t)
		if fused {
			pr.branchSums(&sums, tile, t, args.tokens)
		}
		if multiples {
			args.multiplyMultiples(bits, width, half)
		} else {
			args.multiply(bits, width, w.levels != nil && u == nil, parts > 0)
		}
		args.copyEdge(pr, edge, tile, rows, t)
		if !fused {
			pr.branch(tile, tiles, t, args.tokens)
		}
		t += args.tokens
	}
}

// move makes the arguments those of the second of two row tiles alone, if by is 1, and back with -1. They are
// changed where they are: a copy would wait for what has just been written to them.
func (args *intArgs) move(by int) {
	args.w, args.scale = unsafe.Add(args.w, by*int(args.wNext)), unsafe.Add(args.scale, by*int(args.scaleNext))
	args.rowSum, args.y = unsafe.Add(args.rowSum, by*int(args.rowNext)), unsafe.Add(args.y, by*int(args.yTile))
	args.add = unsafe.Add(args.add, by*int(args.addTile))
	if args.shift != nil {
		args.shift = unsafe.Add(args.shift, by*int(args.shiftTile))
	}
}

// multiplyTile multiplies one row tile with 12 tokens, with AVX-512 VNNI.
func (args *intArgs) multiplyTile(bits int, levels, grouped bool) {
	switch {
	case levels:
		intVNNILevelsTile(args, bits)
	case grouped:
		intVNNIFineTile(args, bits)
	default:
		intVNNITile(args, bits)
	}
}

// multiply calls the active tier's routine for so many tokens, and for weights of so many bits. levels: the weights are indices,
// and not unpacked to bytes; grouped: the activations are in groups of channels.
func (args *intArgs) multiply(bits, width int, levels, grouped bool) {
	switch vnni, avxVNNI := cpu.Active() >= cpu.AVX512VNNI, cpu.Active() == cpu.AVXVNNI; {
	case vnni && width == intTokens && (!grouped || args.onePart()):
		args.multiplyTile(bits, levels, grouped)
		if args.yTile != 0 {
			args.move(1)
			args.multiplyTile(bits, levels, grouped)
			args.move(-1)
		}
	case vnni && levels:
		intVNNILevels(args, bits, width)
	case vnni && grouped && args.onePart() && (bits == 4 || bits == 8):
		intVNNIFine(args, bits, width)
	case vnni && grouped:
		intVNNIGroup(args, bits, width)
	case vnni:
		intVNNI(args, bits, width)
	case avxVNNI && levels:
		intAVXVNNILevels(args, bits, width)
	case avxVNNI && grouped:
		intAVXVNNIGroup(args, bits, width)
	case avxVNNI:
		intAVXVNNI(args, bits, width)
	case grouped:
		intAVX2Group(args, bits, width)
	default:
		intAVX2(args, bits, width)
	}
}

// intOneTiles is the number of row tiles of a call for one token: for so many the branch's
// coefficients are prefetched.
const intOneTiles = 24

// intMulOne multiplies row tiles tile…end-1 with a single token, as far as they have 16 rows
// and if the tier has a routine for many row tiles. It returns the first row tile that is not
// done.
func intMulOne(pr *intProduct, a *Activations, tile, end int) int {
	w := pr.w
	kind := intOneKind(w, a)
	if kind == intOneNone {
		return tile
	}
	end = min(end, w.Rows/intLanes)
	groups, _ := intGroups(w.Cols, w.Group)
	for tile < end {
		var args intArgs
		bits := args.weights(w, nil, tile)
		if at := tile * groups * intLanes; w.HalfScale != nil {
			args.scale, args.scaleNext = unsafe.Pointer(&w.HalfScale[at]), 2*intLanes
		} else {
			args.scale, args.scaleNext = unsafe.Pointer(&w.Scale[at]), 4*intLanes
		}
		parts := 0
		if a.ActGroup > 0 {
			parts, args.rowNext = args.group(w, a, bits), 0
		}
		args.from(a, 0, parts)
		args.shifts(w, a, 0)
		args.y = unsafe.Pointer(&pr.y[pr.at(0, tile)])
		args.tokens, args.tiles = 1, min(intOneTiles, end-tile)
		pr.prefetch(tile, args.tiles)
		tile += args.tiles
		switch kind { // a function variable would have args allocated on the heap
		case intOneToken:
			intVNNI(&args, bits, 1)
		case intOneFine:
			intVNNIFine(&args, bits, 1)
		case intOneLevels:
			intVNNILevels(&args, bits, 1)
		case intOneHalf:
			intVNNIHalf(&args, bits, 1)
		}
	}
	return tile
}

// branchSums sets sums to the branch of two row tiles for some tokens.
func (pr *intProduct) branchSums(sums *branch.PairSums, tile, t, tokens int) {
	if w := pr.bytes; w != nil {
		w.Pair(sums, tile, pr.codeZ[t*w.Count:], tokens)
		return
	}
	pr.c.Pair(sums, tile, pr.z[t*pr.ldz:], pr.ldz, tokens)
}

// intFloatTiles is intMulTiles for float tokens: two row tiles with AVX-512, one with AVX2.
func intFloatTiles(pr *intProduct, x []float32, ldx int, u *intUnpacked, tile, tiles, t0, t1 int) {
	w := pr.w
	var args intArgs
	bits := args.weights(w, u, tile)
	scales := newIntScales(w, tile, tile+tiles)
	defer scales.free()
	args.scale = scales.at()
	rows := min(w.Rows-tile*intLanes, tiles*intLanes)
	pr.prefetch(tile, tiles)
	edge := newIntEdge(rows)
	args.qNext = uintptr(ldx * 4)
	for t := t0; t < t1; {
		// The routine takes no more tokens than are left, because float tokens have no padding.
		width := 1
		switch n := t1 - t; {
		case n >= 4 && tiles == 2:
			width = 4
		case n >= 2:
			width = 2
		}
		args.tokens = width
		args.q = unsafe.Pointer(&x[t*ldx])
		args.output(pr, edge, tile, rows, t)
		if pr.sums != nil {
			args.fsum = unsafe.Pointer(&pr.sums[t*args.groups])
		}
		if tiles == 2 {
			intFloat512(&args, bits, width)
		} else {
			intFloat256(&args, bits, width)
		}
		args.copyEdge(pr, edge, tile, rows, t)
		pr.branch(tile, tiles, t, args.tokens)
		t += width
	}
}

// prefetch asks the processor to load the branch's coefficients for some row tiles.
func (pr *intProduct) prefetch(tile, tiles int) {
	if w := pr.bytes; w != nil {
		w.Prefetch(tile, min(tiles, w.Tiles()-tile))
	}
	if pr.c == nil {
		return
	}
	for i := tile; i < min(tile+tiles, len(pr.c.Count)); i++ {
		pr.c.Prefetch(i)
	}
}
