package integer

import (
	"sync"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// Integers of 2, 3, 5, 6 and 7 bits are stored in bit planes: planes of 4, 2 and 1 bits,
// whose widths add up to theirs (2 = 2, 3 = 2+1, 5 = 4+1, 6 = 4+2, 7 = 4+2+1). A step is 32
// columns of 16 rows. Its planes follow each other, the widest first; they are 256, 128 and
// 64 bytes long. The first plane has the lowest bits of the integer, the next one the bits
// above those.
//
// A plane is a sequence of blocks of 64 bytes. Byte 4·row+j of a block belongs to columns
// that are j modulo 4, so that one load, one shift and one AND give four columns of 16
// rows in the order of the dot product instructions. For column c of the step, 0…31, and
// f = c/4 mod 4, the bits are
//
//	plane of 4 bits: in block c/8,  from bit 4·(c/4 mod 2) on
//	plane of 2 bits: in block c/16, from bit 2·f on
//	plane of 1 bit:  in its block,  bit (2·f+2) mod 8 + c/16
//
// The order of the plane of 1 bit is such that, for three quarters of the columns, one shift
// brings the third bit of an integer of 3 bits just above the other two.

// intPlanar reports whether weights of so many bits are stored in bit planes.
func intPlanar(bits int) bool { return bits != 4 && bits != 8 }

// intPlaneStep is the number of columns of a step, and intPlaneCols the number of columns that
// one load gives.
const (
	intPlaneStep = 32
	intPlaneCols = 4
)

// intPlaneWidths are the widths of the planes in their order. Integers of n bits have those
// planes whose width is a bit of the number n.
var intPlaneWidths = [...]int{4, 2, 1}

// intField returns where the plane of p bits has columns 4·s…4·s+3 of a step: the first byte
// of the block, and the lowest of the p bits in each byte.
func intField(p, s int) (at, shift int) {
	switch p {
	case 4:
		return s / 2 * 64, s % 2 * 4
	case 2:
		return s / 4 * 64, s % 4 * 2
	}
	return 0, (s%4*2+2)%8 + s/4
}

// intUnpackPortable converts steps of bit planes to the layout of 8 bits, so that the routines
// for 8 bits can multiply them, and adds `add` to each integer: see intAdd.
func intUnpackPortable(dst, src []byte, bits, steps int, add byte) {
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

// intAdd is what is added to integers as they are unpacked: 128 − 2^(bits−1), so that 128 stands for
// 0, as in weights of 8 bits, or −2^(bits−1), so that 0 does, where multiples follow.
func intAdd(w *Matrix) byte {
	if w.multiples != nil {
		return byte(-intOffset(w.Bits))
	}
	return byte(128 - intOffset(w.Bits))
}

// intPackPlanes converts the integers u of a step from bytes to bit planes. dst must be zero.
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

// intUnpacked is a buffer for a pair of row tiles that have been unpacked to bytes, once for
// all tokens that a thread multiplies them with.
type intUnpacked struct {
	data  []byte
	first int // the first row tile
	next  int // bytes from it to the second
}

var intUnpackedPool = sync.Pool{New: func() any { return new(intUnpacked) }}

// newIntUnpacked returns a buffer with the pair of row tiles that begins with the given one.
func newIntUnpacked(w *Matrix, tile int, unpack func(u *intUnpacked, w *Matrix, tile, tiles int)) *intUnpacked {
	u := intUnpackedPool.Get().(*intUnpacked)
	u.first, u.next = tile, shape.CeilDiv(w.Cols, intPlaneStep)*intPlaneStep*intLanes
	tiles := min(2, shape.CeilDiv(w.Rows, intLanes)-tile)
	u.data = shape.Grow(u.data, 2*u.next)
	unpack(u, w, tile, tiles)
	return u
}

// free lets the buffer be used again.
func (u *intUnpacked) free() { intUnpackedPool.Put(u) }

// intUnpackPair unpacks row tiles of w to u without assembly.
func intUnpackPair(u *intUnpacked, w *Matrix, tile, tiles int) {
	size := intTileBytes(w.Bits, w.Cols)
	for i := range tiles {
		dst, src := u.data[i*u.next:][:u.next], w.Tiles[(tile+i)*size:]
		switch {
		case w.levels != nil:
			intUnpackLevelsPortable(dst, src, w.levels, intLevelSteps(w.Cols))
		case w.multiples != nil && w.Bits == 4:
			intUnpackLevelsPortable(dst, src, &intFourBits, intLevelSteps(w.Cols))
		default:
			intUnpackPortable(dst, src, w.Bits, shape.CeilDiv(w.Cols, intPlaneStep), intAdd(w))
		}
		if w.multiples != nil {
			intTimesPortable(dst, w, tile+i, 128)
		}
	}
}
