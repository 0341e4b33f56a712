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
	scale     unsafe.Pointer // scales of the first row tile
	scaleNext uintptr        // to the next row tile's
	shift     unsafe.Pointer // zero points of the first row tile; nil: none
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

	// Where the kernel is: addresses, which may be just after what they point into, and the
	// tokens left.
	//lint:ignore U1000 only the assembly uses them
	tileW, tileScale, tileShift, tileRowSum, tileY uintptr
	//lint:ignore U1000 likewise
	shiftAt, sumAt, partAt uintptr
	//lint:ignore U1000 likewise
	nextQ, nextSum, nextPart, nextSx, nextZx, nextY uintptr
	//lint:ignore U1000 likewise
	left int
}

// intTileConfig is what the instruction LDTILECFG reads: for each of 8 matrix registers
// the bytes of a row and the number of rows. Registers 0 and 1 hold sums, 4 and 5
// tokens, 6 and 7 weights.
type intTileConfig struct {
	palette, startRow uint8
	_                 [14]uint8
	rowBytes          [16]uint16
	rows              [16]uint8
}

// set makes the configuration for a block of tokens and products of depth columns.
func (c *intTileConfig) set(tokens, depth int) {
	c.palette = 1
	for i := range 2 {
		c.rowBytes[i], c.rows[i] = intLanes*4, uint8(tokens)
		c.rowBytes[4+i], c.rows[4+i] = uint16(depth), uint8(tokens)
		c.rowBytes[6+i], c.rows[6+i] = intLanes*4, uint8(depth/4)
	}
}

// The smaller block of tokens that there are kernels for beside intAMXBlock, and the fewest tokens for which AMX
// is faster than AVX-512 VNNI.
const (
	intAMXHalf  = 8
	intAMXLeast = 16
)

// intAMXDepth is the most columns of a product; groups of intAMXPairs products or more
// have two sums.
const (
	intAMXDepth = 64
	intAMXPairs = 4
)

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
		size = shape.CeilDiv(size, 2*intAMXDepth) * 2 * intAMXDepth
	}
	for steps = shape.CeilDiv(size, intAMXDepth); size/steps >= 8; steps++ {
		if size%(4*steps) == 0 && (steps < intAMXPairs || steps%2 == 0) {
			return steps, size / steps, true
		}
	}
	return 0, 0, false
}

// intSignedTiles is a buffer for row tiles as signed bytes, next bytes apart.
type intSignedTiles struct {
	data []byte
	next int
}

var intSignedPool = sync.Pool{New: func() any { return new(intSignedTiles) }}

// intMinus8 are the signed numbers that weights of 4 bits stand for.
var intMinus8 = func() (v [16]int8) {
	for u := range v {
		v[u] = int8(u - 8)
	}
	return v
}()

// fill unpacks row tiles of w, cols columns of each: those beyond the matrix are 0.
func (s *intSignedTiles) fill(w *Matrix, tile, tiles, cols int) {
	size := intTileBytes(w.Bits, w.Cols)
	step := intStep(w.Bits) // whole steps are written, which may go beyond cols
	signed := &intMinus8
	if w.levels != nil {
		signed = &w.levels.signed
	}
	done := shape.CeilDiv(w.Cols, step) * step * intLanes
	s.next = max(cols*intLanes, done)
	s.data = shape.Grow(s.data, tiles*s.next)
	for i := range tiles {
		dst, src := s.data[i*s.next:][:s.next], w.Tiles[(tile+i)*size:][:size]
		switch {
		case w.Bits == 4:
			intSigned4AVX512(&dst[0], &src[0], size/64, signed)
		case w.Bits == 8:
			intSigned8AVX512(&dst[0], &src[0], size/64)
		case i%2 == 0: // two row tiles at once
			u := intUnpacked{data: s.data[i*s.next:], next: s.next}
			intUnpackAdd(&u, w, tile+i, min(2, tiles-i), -intOffset(w.Bits))
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
	s.fill(w, tile, end-tile, groups*steps*depth)

	args := intAMXArgs{
		wNext: uintptr(s.next), scaleNext: uintptr(groups * intLanes * 4),
		qNext: uintptr(a.Stride), sumNext: uintptr(groups * 4), yNext: uintptr(pr.ldy * 4),
		groups: groups, steps: steps, depth: uintptr(depth), stepBytes: uintptr(depth * intLanes),
	}
	var config intTileConfig
	args.config = unsafe.Pointer(&config)
	scales := newIntScales(w, tile, end)
	defer scales.free()
	args.scale = scales.at()
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
		args.place(pr, a, s, tile, end-tile, t)
		switch fine := a.ActGroup > 0; {
		case fine && block == intAMXBlock:
			intAMXFine16(&args)
		case fine:
			intAMXFine8(&args)
		case steps >= intAMXPairs && block == intAMXBlock:
			intAMXDeep16(&args)
		case steps >= intAMXPairs:
			intAMXDeep8(&args)
		case block == intAMXBlock:
			intAMX16(&args)
		default:
			intAMX8(&args)
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

// place sets where the row tiles and tokens are.
func (args *intAMXArgs) place(pr *intProduct, a *Activations, s *intSignedTiles, tile, tiles, t int) {
	w := pr.w
	args.w = unsafe.Pointer(&s.data[0])
	args.rowSum = unsafe.Pointer(&w.RowSum[tile*intLanes])
	args.y, args.tiles = unsafe.Pointer(&pr.y[t*pr.ldy+tile*intLanes]), tiles
	args.q = unsafe.Pointer(&a.Q[t*a.Stride])
	args.sum = unsafe.Pointer(&a.fsum[t*args.groups])
	args.shift, args.shiftNext, args.shiftTile = w.shiftAt(tile)
	if a.ActGroup > 0 {
		args.part, args.partNext = unsafe.Pointer(&a.parts[t*args.groups]), uintptr(args.groups)*unsafe.Sizeof(intActSum{})
	} else {
		args.sx, args.zx = unsafe.Pointer(&a.Scale[t]), unsafe.Pointer(&a.Zero[t])
	}
}
