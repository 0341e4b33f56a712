package integer

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// The scales of a row's groups need not be 16-bit floats of their own. In a matrix with
// multiples there is one scale for a row, and a group's scale is 1 to [MaxMultiple] times that:
//
//	weight[r][k] = Scale[r] · multiple[r, k/group] · (u[r][k] − 2^(Bits−1))    4 to 7 bits
//	weight[r][k] = Scale[r] · multiple[r, k/group] · (2·u[r][k] − (2^Bits − 1))    2 and 3 bits
//
// With 2 and 3 bits these are the odd integers from 1 − 2^Bits to 2^Bits − 1, as many above 0 as below:
// of so few values none is spent on 0 or on a side that has one more.
//
// The multiple times the integer fits a byte. So the product is that with a matrix of 8 bits and
// one scale for each row, to the bit, because integer sums are exact: nothing is scaled in
// float32 group by group, and groups can be small, because a multiple takes 8 − Bits bits, at most 4.
// Some routines multiply with the multiples as they go. For all others the tiles are first
// unpacked to bytes, as bit planes are.
//
// The multiples, less one, of the 16 rows of a tile follow each other in the bits of as many bytes as
// 16 multiples take, the lowest bits of the first byte first, [tile][group]. Routines read 8 bytes at a
// time: as many as the last ones may lack follow.

// intMultiples are the multiples of a matrix.
type intMultiples struct {
	group int // inputs that share a multiple, 16 or a multiple of 32
	data  []byte
}

// MaxMultiple returns the largest multiple of a row's scale that the scale of a group of weights
// of so many bits, 2 to 7, may be.
func MaxMultiple(bits int) int { return 1 << intMultipleBits(bits) }

// intMultipleBits is the number of bits of a multiple.
func intMultipleBits(bits int) int { return min(4, 8-bits) }

// intOddMultiples reports whether weights of so many bits with multiples are the odd integers.
func intOddMultiples(bits int) bool { return bits < 4 }

// intMultipleOffset is what is subtracted from u, or from 2u if integers are odd.
func intMultipleOffset(bits int) int32 {
	if intOddMultiples(bits) {
		return 1<<bits - 1
	}
	return intOffset(bits)
}

// intMultipleBytes is the number of bytes of the multiples of a tile's rows for one group.
func intMultipleBytes(bits int) int { return 2 * intMultipleBits(bits) }

// MultiplesBytes returns the length of the multiples of a matrix [rows × cols] of so many bits.
func MultiplesBytes(bits, rows, cols, group int) int {
	groups, _ := intGroups(cols, group)
	size := intMultipleBytes(bits)
	return shape.CeilDiv(rows, intLanes)*groups*size + 8 - size
}

// PackMultiples writes multiples [rows×groups], each 1 to [MaxMultiple], to dst, which has
// [MultiplesBytes] bytes. Rows that fill the last tile get 1.
func PackMultiples(dst []byte, bits int, multiple []uint8, rows, cols, group int) {
	dst = dst[:MultiplesBytes(bits, rows, cols, group)]
	groups, _ := intGroups(cols, group)
	size, width := intMultipleBytes(bits), intMultipleBits(bits)
	clear(dst)
	for at := range shape.CeilDiv(rows, intLanes) * groups {
		var packed uint64
		for lane := range min(intLanes, rows-at/groups*intLanes) {
			m := multiple[(at/groups*intLanes+lane)*groups+at%groups]
			packed |= uint64(m-1) & (1<<width - 1) << (width * lane)
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], packed)
		copy(dst[at*size:], b[:size])
	}
}

// UnpackMultiples is the inverse of [PackMultiples].
func UnpackMultiples(multiple []uint8, bits int, packed []byte, rows, cols, group int) {
	groups, _ := intGroups(cols, group)
	m := intMultiples{data: packed}
	for at := range shape.CeilDiv(rows, intLanes) * groups {
		of := m.at(bits, at)
		for lane := range min(intLanes, rows-at/groups*intLanes) {
			multiple[(at/groups*intLanes+lane)*groups+at%groups] = of[lane]
		}
	}
}

// UnpackRowMultiples sets multiple to those of one row's groups, for an embedding, of which single rows
// are read.
func UnpackRowMultiples(multiple []uint8, bits int, packed []byte, row, cols, group int) {
	groups, _ := intGroups(cols, group)
	multiple = multiple[:groups]
	size, width := intMultipleBytes(bits), intMultipleBits(bits)
	first, shift := row/intLanes*groups, width*(row%intLanes)
	for g := range multiple {
		of := binary.LittleEndian.Uint64(packed[(first+g)*size:])
		multiple[g] = 1 + uint8(of>>shift&(1<<width-1))
	}
}

// at returns the multiples of the rows of a tile for a group, at = tile·groups+group.
func (m *intMultiples) at(bits, at int) (of [intLanes]uint8) {
	size, width := intMultipleBytes(bits), intMultipleBits(bits)
	packed := binary.LittleEndian.Uint64(m.data[at*size:])
	for lane := range of {
		of[lane] = 1 + uint8(packed>>(width*lane)&(1<<width-1))
	}
	return of
}

// NewMultiplesMatrix makes a matrix with multiples, and computes its row sums. tiles has
// [TileBytes] bytes and multiples [MultiplesBytes]; scale has one finite 16-bit float for each
// row, rounded up to a multiple of 16. The matrix keeps references to all three. bits is 2 to 7,
// and group 16 or a multiple of 32.
func NewMultiplesMatrix(bits, rows, cols, group int, tiles []byte, scale []uint16, multiples []byte) (*Matrix, error) {
	switch {
	case bits < 2 || bits > 7:
		return nil, fmt.Errorf("integer matrix: %d bits with multiples of a row's scale; 2 to 7 are supported", bits)
	case group != intPlaneStep/2 && (group <= 0 || group%intPlaneStep != 0):
		return nil, fmt.Errorf("integer matrix: groups of %d inputs with multiples of a row's scale; the size must be 16 or a multiple of 32", group)
	case rows <= 0 || cols <= 0:
		return nil, fmt.Errorf("integer matrix: %d×%d; rows and columns must be positive", rows, cols)
	}
	if want := MultiplesBytes(bits, rows, cols, group); len(multiples) != want {
		return nil, fmt.Errorf("integer matrix: %d bytes of multiples; %d×%d of %d bits in groups of %d need %d", len(multiples), rows, cols, bits, group, want)
	}
	return newMatrix(&Matrix{Bits: bits, Rows: rows, Cols: cols, Tiles: tiles, HalfScale: scale,
		multiples: &intMultiples{group: group, data: multiples}}, nil)
}

// multiplesGroups is the number of multiples of a row, and the number of inputs of each but the last.
func (w *Matrix) multiplesGroups() (n, size int) { return intGroups(w.Cols, w.multiples.group) }

// intMultiplesTokens is the largest number of tokens that routines multiply with weights as they are
// stored where the routines for bytes are as fast as those. For more tokens a pair of row tiles is
// first unpacked to bytes. It is the largest number that a routine takes.
const intMultiplesTokens = 8

// intMultiplesMost is the largest number of tokens that are multiplied so in the active tier. AVX2's
// routines for bytes are slower than those for fewer bits, and NEON's without the dot product have
// more instructions (nothing was timed there), so that tiers with those never unpack.
func intMultiplesMost() int {
	if tier := cpu.Active(); tier == cpu.AVX2 || tier == cpu.AVX512 || tier == cpu.NEON {
		return math.MaxInt
	}
	return intMultiplesTokens
}

// sumByMultiple computes the tokens' multipleSums, with which routines begin the sums of a group's
// products, if there are few tokens and matrices whose multiples these routines can take as they
// are: whole steps of 32 columns, and groups that are as large as the first matrix's.
func (a *Activations) sumByMultiple(p *parallel.Pool, ws []*Matrix) {
	if a.Tokens > intMultiplesMost() || a.ActGroup > 0 || a.Cols%intPlaneStep != 0 {
		return
	}
	for _, w := range ws {
		if w.multiples == nil || a.multipleGroup != 0 && (w.multiples.group != a.multipleGroup || len(a.multipleSums[w.Bits]) > 0) {
			continue
		}
		a.multipleGroup = w.multiples.group
		groups, size := intGroups(a.Cols, a.multipleGroup)
		sums := shape.Grow(a.multipleSums[w.Bits], (a.Tokens+intMultiplesTokens)*groups)
		factor, less := -intMultipleOffset(w.Bits), w.multiples.less(w.Bits)
		per := parallel.ChunkTokens(a.Cols)
		p.Run(shape.CeilDiv(a.Tokens, per), func(i int) {
			for t := i * per; t < min(a.Tokens, (i+1)*per); t++ {
				q := a.Q[t*a.Stride:][:a.Cols]
				for g := range groups {
					sums[t*groups+g] = factor*intSum(q[g*size:min(a.Cols, (g+1)*size)]) - less
				}
			}
		})
		clear(sums[a.Tokens*groups:])
		a.multipleSums[w.Bits] = sums
	}
}

// less is what the sums of groups begin with less than with −offset·Σ q, so that they fit 16 bits:
// the product of 16 inputs with weights of 5 bits is −32,512 to 32,768. Routines add it again.
func (m *intMultiples) less(bits int) int32 {
	if bits == 5 && m.group == intPlaneStep/2 {
		return 1
	}
	return 0
}

// multiplesInPlace reports whether routines can multiply w with a as its weights are stored.
func (w *Matrix) multiplesInPlace(a *Activations) bool {
	return w.multiples != nil && w.multiples.group == a.multipleGroup && len(a.multipleSums[w.Bits]) > 0
}

// intFourBits are the signed integers that weights of 4 bits stand for, and the same as bytes: a table
// with which they are unpacked where signed bytes are wanted, as before multiples.
var intFourBits = func() (l intLevels) {
	for u := range l.stored {
		l.signed[u] = int8(u) - 8
		l.stored[u] = byte(l.signed[u])
	}
	return l
}()

// intTimesPortable multiplies a row tile of integers u − 2^(Bits−1) in the layout of 8 bits, or the odd
// integers that they stand for, with the multiples of row tile `tile`, and adds `add` to each byte.
func intTimesPortable(dst []byte, w *Matrix, tile int, add byte) {
	groups, size := w.multiplesGroups()
	cols := shape.RoundUp(w.Cols, intPlaneCols)
	size = shape.RoundUp(size, intPlaneCols) // a row that is shorter than a group
	for g := range groups {
		of := w.multiples.at(w.Bits, tile*groups+g)
		part := dst[g*size*intLanes : min(cols, (g+1)*size)*intLanes]
		for i, v := range part {
			if intOddMultiples(w.Bits) {
				v = 2*v + 1
			}
			part[i] = v*of[i/4%intLanes] + add
		}
	}
	for i := range dst[cols*intLanes:] {
		dst[cols*intLanes+i] = add
	}
}
