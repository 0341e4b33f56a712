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
	if w.multiples != nil {
		intTimesUnpack(u, w, tile, tiles, byte(add+intOffset(w.Bits)))
		return
	}
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
