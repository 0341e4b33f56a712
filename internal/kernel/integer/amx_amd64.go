package integer

import (
	"sync"
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// AMX multiplies a block of 16 tokens with a row tile in one instruction, 64 columns at a
// time. What its kernels compute is what the portable loops define, to the same bits:
// integer sums are exact in any order, and their scaling in float32 is as it is elsewhere.

// intAMXArgs are the arguments of an assembly kernel for AMX: row tiles times tokens.
// Distances are in bytes. The kernel counts tiles down.
type intAMXArgs struct {
	config    unsafe.Pointer // the shapes of the matrix registers
	w         unsafe.Pointer // signed weights of the first row tile, [column/4][row][column%4]
	wNext     uintptr        // to the next row tile
	scales    unsafe.Pointer // of all row tiles that were unpacked together; place sets scale from it
	scale     unsafe.Pointer // scales of the first row tile
	scaleNext uintptr        // to the next row tile's
	zero      int            // what the zero points of the weights take: one of the constants below
	shift     unsafe.Pointer // zero points of the first row tile
	shiftNext uintptr        // to the next group's; 0: one for all
	shiftTile uintptr        // to the next row tile's
	rowSum    unsafe.Pointer
	y         unsafe.Pointer // of the first token and row tile
	tiles     int

	q        unsafe.Pointer // columns of the first token
	qNext    uintptr        // to the next token
	sum      unsafe.Pointer // group sums of the first token as floats, for zero points
	sumNext  uintptr
	part     unsafe.Pointer // parts of the first token (intActSum), of tokens in groups of channels
	partNext uintptr
	sx       unsafe.Pointer // scales of the tokens
	zx       unsafe.Pointer // zero points of the tokens
	yNext    uintptr        // to the next token's result
	tokens   int

	groups    int
	steps     int     // products of matrix registers in a group
	depth     uintptr // columns of one product
	stepBytes uintptr // bytes of a row tile's weights in one product

	// Of intAMXQuad: the most steps of a chunk of columns, and where the integer sums of all tokens
	// wait for the next chunk.
	chunk   int
	partial unsafe.Pointer

	// Where the kernel is: addresses, which may be just after what they point into, and the
	// tokens left.
	//lint:ignore U1000 only the assembly uses them
	tileW, tileScale, tileShift, tileRowSum, tileY uintptr
	//lint:ignore U1000 likewise
	shiftAt, sumAt, partAt uintptr
	//lint:ignore U1000 likewise
	nextQ, nextSum, nextPart, nextSx, nextZx, nextY uintptr
	//lint:ignore U1000 likewise
	left, groupsLeft int
	//lint:ignore U1000 likewise
	chunkSteps, stepsLeft, chunksDone int
	//lint:ignore U1000 likewise
	chunkW, chunkQ, nextPartial uintptr
	//lint:ignore U1000 likewise
	turn int // 1: the sums of the group that is scaled are in the first matrix registers
}

// What the zero points of the weights take off a group's products: nothing, shift times the sum
// of the token's group, or that product where it is computed already (Activations.shifted).
const (
	intZeroNone = iota
	intZeroShift
	intZeroShifted
)

// intTileConfig is what the instruction LDTILECFG reads: for each of 8 matrix registers
// the bytes of a row and the number of rows. Registers 0 to 3 hold sums, 4 and 5 tokens, 6 and 7
// weights.
type intTileConfig struct {
	palette, startRow uint8
	_                 [14]uint8
	rowBytes          [16]uint16
	rows              [16]uint8
}

// set makes the configuration for a block of tokens and products of depth columns.
func (c *intTileConfig) set(tokens, depth int) {
	c.palette = 1
	for i := range 4 {
		c.rowBytes[i], c.rows[i] = intLanes*4, uint8(tokens)
	}
	for i := 6; i < 8; i++ {
		c.rowBytes[i], c.rows[i] = intLanes*4, uint8(depth/4)
	}
	for i := 4; i < 6; i++ {
		c.rowBytes[i], c.rows[i] = uint16(depth), uint8(tokens)
	}
}

// The smaller block of tokens that there are kernels for, beside intAMXBlock, and the fewest
// tokens for which AMX is faster than AVX-512 VNNI.
const (
	intAMXHalf  = 8
	intAMXLeast = 16
)

// intAMXDepth is the most columns of a product.
const intAMXDepth = 64

// intAMXChunk is the most steps of a chunk of columns in intAMXQuad: the weights of two row tiles
// then take 18 kB, and leave room in a first-level cache of 48 kB for the columns of tokens that pass.
const intAMXChunk = 9

// intAMXSteps is the number of products in a group of the weights and the columns of each;
// false if the kernels can't multiply w with a.
func intAMXSteps(w *Matrix, a *Activations) (steps, depth int, ok bool) {
	groups, size := intGroups(w.Cols, w.Group)
	if a.ActGroup > 0 {
		parts, _ := intParts(w.Cols, w.Group, a.ActGroup)
		if parts != groups || size > intAMXDepth {
			return 0, 0, false
		}
	}
	if groups == 1 { // any number of columns can follow the last: their weights are 0
		size = shape.RoundUp(size, intAMXDepth)
	}
	for steps = shape.CeilDiv(size, intAMXDepth); size/steps >= 8; steps++ {
		if size%(4*steps) == 0 {
			return steps, size / steps, true
		}
	}
	return 0, 0, false
}

// intSignedTiles is a buffer for row tiles as signed bytes, next bytes apart, and for the scales
// and zero points of tokens where those bytes are twice what they stand for.
type intSignedTiles struct {
	data []byte
	next int
	sx   []float32
	zx   []int32
	sums []int32 // of tokens and two row tiles, between chunks of columns: see intAMXArgs.partial
}

// intOdd reports whether the row tiles can be the odd numbers 2·q + 1 − 2^bits. The weights of a
// centred grid, which are halfway between integers, are half of that, so that nothing is left for
// zero points to take off. Everything in float32 then is twice what it is elsewhere, to the bit, as
// long as a group's product and what is taken off it have no more bits than a float32, because 2
// is a power of two.
func intOdd(w *Matrix, a *Activations) bool {
	_, size := intGroups(w.Cols, w.Group)
	return w.oneZero && w.shift != nil && w.shift[0] == -0.5 && w.Bits < 8 && w.levels == nil && a.ActGroup == 0 && size<<w.Bits < 1<<(24-8)
}

// halve sets sx and zx to what gives the results of the tokens from sums that are twice as large.
func (s *intSignedTiles) halve(a *Activations, t0, t1 int) {
	n := t1 - t0
	s.sx, s.zx = shape.Grow(s.sx, n+intAMXBlock), shape.Grow(s.zx, n+intAMXBlock)
	for i := range n {
		s.sx[i], s.zx[i] = a.Scale[t0+i]/2, a.Zero[t0+i]*2
	}
	clear(s.sx[n:])
	clear(s.zx[n:])
}

var intSignedPool = sync.Pool{New: func() any { return new(intSignedTiles) }}

// intMinus7 are twice the numbers halfway between integers: see intOdd.
var intMinus7 = func() (v [16]int8) {
	for u := range v {
		v[u] = int8(2*u - 15)
	}
	return v
}()

// fill unpacks row tiles of w, cols columns of each: those beyond the matrix are 0. odd is intOdd's
// answer.
func (s *intSignedTiles) fill(w *Matrix, tile, tiles, cols int, odd bool) {
	size := intTileBytes(w.Bits, w.Cols)
	step := intStep(w.Bits) // whole steps are written, which may go beyond cols
	signed := &intFourBits.signed
	if w.levels != nil {
		signed = &w.levels.signed
	} else if odd {
		signed = &intMinus7
	}
	done := shape.CeilDiv(w.Cols, step) * step * intLanes
	s.next = max(cols*intLanes, done)
	s.data = shape.Grow(s.data, tiles*s.next)
	for i := range tiles {
		dst, src := s.data[i*s.next:][:s.next], w.Tiles[(tile+i)*size:][:size]
		switch {
		case w.Bits == 4 && w.multiples == nil:
			intSigned4AVX512(&dst[0], &src[0], size/64, signed)
		case w.Bits == 8:
			intSigned8AVX512(&dst[0], &src[0], size/64)
		case i%2 == 0: // two row tiles at once
			u := intUnpacked{data: s.data[i*s.next:], next: s.next}
			intUnpackAdd(&u, w, tile+i, min(2, tiles-i), -intOffset(w.Bits))
		}
		if odd && w.Bits != 4 {
			intOddAVX512(&dst[0], done/64)
		}
		clear(dst[done:])
	}
}

// intMulAMX multiplies row tiles tile to end-1, as far as they are whole, with tokens t0
// to t1-1 if AMX pays for so many. It returns the first row tile that is not done.
func intMulAMX(pr *intProduct, a *Activations, tile, end, t0, t1 int) int {
	w := pr.w
	end = min(end, w.Rows/intLanes)
	if cpu.Active() < cpu.AMX || t1-t0 < intAMXLeast || tile >= end {
		return tile
	}
	steps, depth, ok := intAMXSteps(w, a)
	if !ok {
		return tile
	}
	groups, _ := intGroups(w.Cols, w.Group)
	s := intSignedPool.Get().(*intSignedTiles)
	defer intSignedPool.Put(s)
	odd := intOdd(w, a)
	s.fill(w, tile, end-tile, groups*steps*depth, odd)
	if odd {
		s.halve(a, t0, t1)
	}

	args := intAMXArgs{
		wNext: uintptr(s.next), scaleNext: uintptr(groups * intLanes * 4),
		qNext: uintptr(a.Stride), sumNext: uintptr(groups * 4), yNext: uintptr(pr.ldy * 4),
		groups: groups, steps: steps, depth: uintptr(depth), stepBytes: uintptr(depth * intLanes),
	}
	switch {
	case odd:
	case w.oneZero && w.shift != nil && w.shift[0] == a.shiftedBy:
		args.zero = intZeroShifted
	case w.shift != nil:
		args.zero = intZeroShift
	}
	var config intTileConfig
	args.config = unsafe.Pointer(&config)
	scales := newIntScales(w, tile, end)
	defer scales.free()
	args.scales = scales.at()
	for t := t0; t < t1; {
		block := intAMXBlock
		if t1-t <= intAMXHalf {
			block = intAMXHalf
		}
		config.set(block, depth)
		args.tokens = t1 - t
		if n := args.tokens % intAMXBlock; n <= intAMXHalf && args.tokens > intAMXBlock {
			args.tokens -= n
		}
		quad := groups == 1 && a.ActGroup == 0 && args.zero == intZeroNone && args.tokens >= 2*intAMXBlock && end-tile > 1
		if quad {
			args.tokens &^= 2*intAMXBlock - 1
			args.chunk = shape.CeilDiv(steps, shape.CeilDiv(steps, intAMXChunk))
			if args.chunk < steps {
				s.sums = shape.Grow(s.sums, args.tokens*2*intLanes)
				args.partial = unsafe.Pointer(&s.sums[0])
			}
		}
		one, pair := intAMX8, (func(*intAMXArgs))(nil)
		switch fine := a.ActGroup > 0; {
		case quad:
			one, pair = intAMX16, intAMXQuad
		case fine && block == intAMXBlock:
			one, pair = intAMXFine16, intAMXFinePair16
		case fine:
			one = intAMXFine8
		case block == intAMXBlock:
			one, pair = intAMX16, intAMXPair16
		}
		done := 0 // row tiles
		// Zero points of their own in small groups keep the processor's load units busy; sums in
		// memory then cost more than the second row tile saves.
		if pair != nil && end-tile > 1 && (args.zero != intZeroShift || steps > 1) {
			done = (end - tile) &^ 1
			args.place(pr, a, s, tile, 0, done, t)
			args.tokensOf(a, s, t0, t, odd)
			pair(&args)
		}
		if done < end-tile {
			args.place(pr, a, s, tile, done, end-tile-done, t)
			args.tokensOf(a, s, t0, t, odd)
			one(&args)
		}
		t += args.tokens
	}
	if pr.c != nil || pr.bytes != nil {
		for t := t0; t < t1; t += intTokens {
			pr.branch(tile, end-tile, t, min(intTokens, t1-t))
		}
	}
	return end
}

// place sets where the row tiles and tokens are: so many tiles from the tile `skip` after the
// first of s, which is row tile `first` of the matrix, and tokens from t on.
func (args *intAMXArgs) place(pr *intProduct, a *Activations, s *intSignedTiles, first, skip, tiles, t int) {
	w, tile := pr.w, first+skip
	args.w = unsafe.Pointer(&s.data[skip*s.next])
	args.scale = unsafe.Add(args.scales, skip*int(args.scaleNext))
	args.rowSum = unsafe.Pointer(&w.RowSum[tile*intLanes])
	args.y, args.tiles = unsafe.Pointer(&pr.y[pr.at(t, tile)]), tiles
	args.q = unsafe.Pointer(&a.Q[t*a.Stride])
	args.sum = unsafe.Pointer(&a.fsum[t*args.groups])
	if args.zero == intZeroShifted {
		args.sum = unsafe.Pointer(&a.shifted[t*args.groups])
	}
	args.shift, args.shiftNext, args.shiftTile = w.shiftAt(tile)
}

// tokensOf sets where the scales and zero points of the tokens from t on are. s has them from t0
// on if it is odd: see intOdd.
func (args *intAMXArgs) tokensOf(a *Activations, s *intSignedTiles, t0, t int, odd bool) {
	switch {
	case odd:
		args.sx, args.zx = unsafe.Pointer(&s.sx[t-t0]), unsafe.Pointer(&s.zx[t-t0])
	case a.ActGroup > 0:
		args.part, args.partNext = unsafe.Pointer(&a.parts[t*args.groups]), uintptr(args.groups)*unsafe.Sizeof(intActSum{})
	default:
		args.sx, args.zx = unsafe.Pointer(&a.Scale[t]), unsafe.Pointer(&a.Zero[t])
	}
}
