package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intPlaneTokens is the number of tokens up to which the kernels for AVX-512
// VNNI decode the planes as they go; for more a pair of row tiles is unpacked to
// bytes once.
const intPlaneTokens = 8

// intUnpackArgs are the arguments of an assembly routine that unpacks one row
// tile (AVX-512: two) to bytes.
type intUnpackArgs struct {
	dst     unsafe.Pointer
	dstNext uintptr // to the second row tile; 0 unpacks the first twice
	src     unsafe.Pointer
	srcNext uintptr
	steps   int
	add     uint32         // four times the byte to add to what was in bit planes
	table   unsafe.Pointer // the bytes that indices stand for; see levels.go
}

// intUnpack fills u with row tiles of w.
func intUnpack(u *intUnpacked, w *Matrix, tile, tiles int) {
	intUnpackAdd(u, w, tile, tiles, 128-intOffset(w.Bits))
}

// intUnpackAdd fills u with the stored values of row tiles of w, plus add.
func intUnpackAdd(u *intUnpacked, w *Matrix, tile, tiles int, add int32) {
	size := intTileBytes(w.Bits, w.Cols)
	args := intUnpackArgs{
		dst: unsafe.Pointer(&u.data[0]), src: unsafe.Pointer(&w.Tiles[tile*size]),
		steps: shape.CeilDiv(w.Cols, intPlaneStep), add: uint32(uint8(add)) * 0x01010101,
	}
	if w.levels != nil {
		args.steps, args.table = intLevelSteps(w.Cols), unsafe.Pointer(w.levels)
	}
	wide := cpu.Active() >= cpu.AVX512
	if wide && tiles == 2 {
		args.dstNext, args.srcNext = uintptr(u.next), uintptr(size)
	}
	args.unpack(w, wide)
	if !wide && tiles == 2 {
		args.dst, args.src = unsafe.Pointer(&u.data[u.next]), unsafe.Pointer(&w.Tiles[(tile+1)*size])
		args.unpack(w, wide)
	}
}

// unpack unpacks a row tile of w, or with AVX-512 two.
func (args *intUnpackArgs) unpack(w *Matrix, wide bool) {
	switch {
	case w.levels != nil && wide:
		intUnpackLevels512(args)
	case w.levels != nil:
		intUnpackLevelsAVX2(args)
	case wide:
		intUnpack512(args, w.Bits)
	default:
		intUnpackAVX2(args, w.Bits)
	}
}

// intStartArgs are the arguments of an assembly routine for where the sums of
// one row tile begin, see zero.go: four tokens or one; or two tiles, 12 tokens.
type intStartArgs struct {
	y         unsafe.Pointer
	yNext     uintptr // to the next token's
	scale     unsafe.Pointer
	shift     unsafe.Pointer
	shiftNext uintptr // to the next group's; 0: one for all
	sum       unsafe.Pointer
	sumNext   uintptr // to the next token's
	groups    int

	scaleTile, shiftTile uintptr // to the second tile's, of 12 tokens
	tiles                int     // row tiles, of one token with AVX-512
}

// intStart writes where the sums of one or two row tiles begin, in the order of
// the kernels for as many. sums has the tokens' group sums, [tokens +
// intStartPad][groups].
func intStart(y *intSums, w *Matrix, sums []float32, tile, tiles, tokens int) {
	groups, _ := intGroups(w.Cols, w.Group)
	args := intStartArgs{yNext: uintptr(tiles * intLanes * 4), sumNext: uintptr(groups * 4), groups: groups}
	if tiles == 2 && tokens > 4 && cpu.Active() >= cpu.AVX512 { // y has room for 12
		at := tile * groups * intLanes
		args.y, args.sum = unsafe.Pointer(y), unsafe.Pointer(&sums[0])
		args.scale, args.shift = unsafe.Pointer(&w.Scale[at]), unsafe.Pointer(&w.shift[0])
		if (tile+1)*intLanes < w.Rows {
			args.scaleTile = uintptr(groups * intLanes * 4)
		}
		if len(w.shift) > intLanes {
			args.shift, args.shiftNext, args.shiftTile = unsafe.Pointer(&w.shift[at]), intLanes*4, args.scaleTile
		}
		intStart512x12(&args)
		return
	}
	if tokens == 1 && cpu.Active() >= cpu.AVX512 && tile+tiles <= shape.CeilDiv(w.Rows, intLanes) {
		at := tile * groups * intLanes
		args.y, args.sum, args.tiles = unsafe.Pointer(y), unsafe.Pointer(&sums[0]), tiles
		args.scale, args.shift = unsafe.Pointer(&w.Scale[at]), unsafe.Pointer(&w.shift[0])
		if len(w.shift) > intLanes {
			args.shift, args.shiftNext = unsafe.Pointer(&w.shift[at]), intLanes*4
		}
		intStart512x1(&args)
		return
	}
	for i := range tiles {
		// Kernels compute the last tile twice where it has no neighbour.
		at := min(tile+i, shape.CeilDiv(w.Rows, intLanes)-1) * groups * intLanes
		args.scale, args.shift = unsafe.Pointer(&w.Scale[at]), unsafe.Pointer(&w.shift[0])
		if len(w.shift) > intLanes {
			args.shift, args.shiftNext = unsafe.Pointer(&w.shift[at]), intLanes*4
		}
		if tokens == 1 {
			args.y, args.sum = unsafe.Pointer(&y[i*intLanes]), unsafe.Pointer(&sums[0])
			if cpu.Active() >= cpu.AVX512 {
				args.tiles = 1
				intStart512x1(&args)
			} else {
				intStartAVX2x1(&args)
			}
			continue
		}
		for t := 0; t < tokens; t += 4 {
			args.y = unsafe.Pointer(&y[(t*tiles+i)*intLanes])
			args.sum = unsafe.Pointer(&sums[t*groups])
			if cpu.Active() >= cpu.AVX512 {
				intStart512x4(&args)
			} else {
				intStartAVX2x4(&args)
			}
		}
	}
}
