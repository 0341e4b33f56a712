package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intPlaneTokens is the largest number of tokens that the routines for AVX-512 VNNI multiply
// with bit planes directly. For more tokens a pair of row tiles is first unpacked to bytes.
const intPlaneTokens = 8

// intUnpackArgs are the arguments of a routine that unpacks two row tiles (AVX2: one) to bytes.
// Distances are in bytes.
type intUnpackArgs struct {
	dst     unsafe.Pointer
	dstNext uintptr // to the second row tile; 0 unpacks the first twice
	src     unsafe.Pointer
	srcNext uintptr
	steps   int
	add     uint32         // four times the byte to add to what was in bit planes
	table   unsafe.Pointer // the bytes that indices stand for; see levels.go
}

// intUnpack unpacks row tiles of w to u.
func intUnpack(u *intUnpacked, w *Matrix, tile, tiles int) {
	intUnpackAdd(u, w, tile, tiles, 128-intOffset(w.Bits))
}

// intUnpackAdd unpacks row tiles of w to u and adds `add` to each integer.
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

// unpack unpacks two row tiles of w (AVX-512, wide) or one.
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

// intStartArgs are the arguments of a routine that computes what the sums of a product begin
// with (see zero.go): for one row tile and four tokens or one, or for two row tiles and 12
// tokens. Distances are in bytes.
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

// intStart sets y to what the sums of one or two row tiles begin with, in the order in which
// the routines for so many row tiles read it. sums has the tokens' group sums,
// [tokens + intStartPad][groups].
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
		// If a pair has only one row tile, routines multiply that one twice.
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
