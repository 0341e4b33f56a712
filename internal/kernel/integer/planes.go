package integer

import (
	"sync"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// Widths other than 4 and 8 bits are sums of bit planes of 4, 2 and 1 bits
// (3 = 2+1, 5 = 4+1, 6 = 4+2, 7 = 4+2+1). A step is 32 columns of 16 rows, its
// planes one after the other, widest first: 256, 128 and 64 bytes. The widest
// plane has the low bits of the stored value, the next one the bits above.
//
// In every plane byte 4·row+j of a block of 64 bytes belongs to columns
// congruent to j modulo 4, so that a load, a shift and an AND give four columns
// of 16 rows as the dot-product instructions take them. With c the column in
// the step, 0…31, and f = c/4 mod 4:
//
//	4 bits: block c/8,  bits 4·(c/4 mod 2) and up
//	2 bits: block c/16, bits 2·f and up
//	1 bit:  one block,  bit (2·f+2) mod 8 + c/16
//
// The 1-bit plane's order puts the third bit of a 3-bit value just above the
// other two for three quarters of the columns.

// intPlanar reports whether weights of so many bits are stored in bit planes.
func intPlanar(bits int) bool { return bits != 4 && bits != 8 }

// intPlaneStep is the number of columns in a step of planes, and intPlaneCols
// the number of columns that come out of one load.
const (
	intPlaneStep = 32
	intPlaneCols = 4
)

// intPlaneWidths are the planes in their order; a width has those whose bit is
// set in it.
var intPlaneWidths = [...]int{4, 2, 1}

// intField returns where the plane of p bits holds columns 4·s…4·s+3 of a step: the
// first byte of the 64-byte block, and the lowest bit of the field in each byte.
func intField(p, s int) (at, shift int) {
	switch p {
	case 4:
		return s / 2 * 64, s % 2 * 4
	case 2:
		return s / 4 * 64, s % 4 * 2
	}
	return 0, (s%4*2+2)%8 + s/4
}

// intUnpackPortable converts weights of src from bit planes to the layout for 8 bits,
// so that the kernels for 8 bits can multiply them. It adds 128 − 2^(bits−1) to each
// stored value, so that 128 stands for zero as in weights of 8 bits.
func intUnpackPortable(dst, src []byte, bits, steps int) {
	add := byte(128 - intOffset(bits))
	for step := range steps {
		planes := src[step*64*bits:][:64*bits]
		for s := range intPlaneStep / intPlaneCols {
			d := dst[(step*intPlaneStep/intPlaneCols+s)*64:][:64]
			for n := range d {
				d[n] = add
			}
			rest, low := planes, 0
			for _, p := range intPlaneWidths {
				if bits&p == 0 {
					continue
				}
				at, shift := intField(p, s)
				for n, b := range rest[at:][:64] {
					d[n] += b >> shift & (1<<p - 1) << low
				}
				rest, low = rest[64*p:], low+p
			}
		}
	}
}

// intPackPlanes is the inverse of [intUnpackPortable] for one step, but for the
// offset: src has the stored values as bytes. dst must be zero.
func intPackPlanes(dst, src []byte, bits int) {
	for s := range intPlaneStep / intPlaneCols {
		rest, low := dst, 0
		for _, p := range intPlaneWidths {
			if bits&p == 0 {
				continue
			}
			at, shift := intField(p, s)
			block := rest[at:][:64]
			mask := byte(1<<p - 1)
			for n, u := range src[s*64:][:64] {
				block[n] |= u >> (low & 7) & mask << (shift & 7)
			}
			rest, low = rest[64*p:], low+p
		}
	}
}

// intUnpacked is a buffer for a pair of row tiles unpacked to bytes, from row tile first
// on, next bytes apart. Every token of a panel uses it.
type intUnpacked struct {
	data  []byte
	first int
	next  int
}

var intUnpackedPool = sync.Pool{New: func() any { return new(intUnpacked) }}

// newIntUnpacked makes a buffer for the pair of row tiles from tile on and fills it.
func newIntUnpacked(w *Matrix, tile int, unpack func(u *intUnpacked, w *Matrix, tile, tiles int)) *intUnpacked {
	u := intUnpackedPool.Get().(*intUnpacked)
	u.first, u.next = tile, shape.CeilDiv(w.Cols, intPlaneStep)*intPlaneStep*intLanes
	tiles := min(2, shape.CeilDiv(w.Rows, intLanes)-tile)
	u.data = shape.Grow(u.data, 2*u.next)
	unpack(u, w, tile, tiles)
	return u
}

func (u *intUnpacked) free() { intUnpackedPool.Put(u) }

// intUnpackPair fills an intUnpacked without assembly.
func intUnpackPair(u *intUnpacked, w *Matrix, tile, tiles int) {
	size := intTileBytes(w.Bits, w.Cols)
	for i := range tiles {
		dst, src := u.data[i*u.next:], w.Tiles[(tile+i)*size:]
		if w.levels != nil {
			intUnpackLevelsPortable(dst, src, w.levels, intLevelSteps(w.Cols))
			continue
		}
		intUnpackPortable(dst, src, w.Bits, shape.CeilDiv(w.Cols, intPlaneStep))
	}
}
