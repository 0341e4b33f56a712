package integer

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intLanes is the number of rows of a tile: one for each 32-bit lane of a 512-bit register.
const intLanes = 16

// Matrix is a matrix of weights in integers u of 2 to 8 bits, with a scale (and maybe a zero
// point) for each output row, or for each output row and group of inputs:
//
//	weight[r][k] = Scale[r, k/Group] · (u[r][k] − zero[r, k/Group])
//
// The stored integer u is unsigned, because dot product instructions multiply unsigned
// bytes with signed ones. Without zero points zero is 2^(Bits−1), so that weights are
// −2^(Bits−1) to 2^(Bits−1)−1 times the scale.
//
// Tiles has the integers in tiles of 16 rows, each of which is a sequence of steps: some
// columns of these rows. With 4 and 8 bits a step is 64 bytes. Its byte 4·lane+j belongs
// to row 16·tile+lane: with 8 bits it is column 4·step+j; with 4 bits its low half is
// column 8·step+j and its high half column 8·step+4+j. With other widths a step is 32
// columns in 64·Bits bytes, in bit planes: see planes.go. Rows and columns that fill the
// last tile and step have u = 2^(Bits−1). Files have the same layout, so that Tiles may
// point into a memory-mapped file, at any address.
//
// An u of 4 bits may also be an index into a table (see levels.go), and the scale of a group a
// multiple of its row's (see multiples.go), which Group, then 0, does not tell.
type Matrix struct {
	Bits       int // 2 to 8
	Rows, Cols int
	Group      int       // inputs that share a scale, a multiple of 8; 0: one scale for each row
	Tiles      []byte    // [tile][step][64, or 64·Bits]
	Scale      []float32 // [tile][group][16]
	HalfScale  []uint16  // the same in 16-bit floats, instead of Scale: one of the two is nil
	RowSum     []float32 // [tile][16]: Σ_g scale·Σ_k (u−zero), which the zero point of a token is multiplied with

	// shift is zero − 2^(Bits−1): [tile][group][16], or [16] if it is the same everywhere,
	// or nil if it is 0.
	shift   []float32
	oneZero bool // there is one zero point for all

	levels    *intLevels    // the table, if u is an index; otherwise nil
	multiples *intMultiples // the scales of groups, if they are multiples of the row's; otherwise nil
}

// intOffset returns the integer u that stands for 0 if there are no zero points.
func intOffset(bits int) int32 { return 1 << (bits - 1) }

// intStep returns the number of columns of a step.
func intStep(bits int) int {
	if intPlanar(bits) {
		return intPlaneStep
	}
	return 32 / bits
}

// intStepBytes returns the number of bytes of a step.
func intStepBytes(bits int) int {
	if intPlanar(bits) {
		return 64 * bits
	}
	return 64
}

// intTileBytes returns the number of bytes of a tile.
func intTileBytes(bits, cols int) int { return shape.CeilDiv(cols, intStep(bits)) * intStepBytes(bits) }

// intGroups returns the number of groups of a row of cols inputs, and the number of inputs of
// each group but the last, which may be smaller. With one group for the whole row that is
// cols.
func intGroups(cols, group int) (n, size int) {
	if group <= 0 || group >= cols {
		return 1, cols
	}
	return shape.CeilDiv(cols, group), group
}

// TileBytes returns the length of [Matrix.Tiles] for a matrix [rows × cols] of 2 to 8 bits.
func TileBytes(bits, rows, cols int) int {
	return shape.CeilDiv(rows, intLanes) * intTileBytes(bits, cols)
}

// ScaleLen returns the length of [Matrix.Scale]: the rows, rounded up to a multiple of 16,
// times the groups of a row.
func ScaleLen(rows, cols, group int) int {
	n, _ := intGroups(cols, group)
	return shape.CeilDiv(rows, intLanes) * n * intLanes
}

// PackTiles writes the signed integers q = u − 2^(bits−1) [rows×cols], which are row-major, to
// dst in the layout of [Matrix.Tiles]. dst has [TileBytes] bytes, and bits is 2 to 8. Every q
// must fit so many bits; higher ones are lost.
func PackTiles(dst []byte, bits int, q []int8, rows, cols int) {
	dst = dst[:TileBytes(bits, rows, cols)]
	size := intTileBytes(bits, cols)
	// A tile in the layout of 8 bits, from which that of other widths is made.
	u := make([]byte, shape.CeilDiv(cols, intPlaneStep)*intPlaneStep*intLanes)
	for tile := 0; tile*intLanes < rows; tile++ {
		b, from := dst[tile*size:][:size], tile*intLanes
		intSpread(u, q[from*cols:], bits, min(intLanes, rows-from), cols)
		switch {
		case bits == 8:
			copy(b, u)
		case bits == 4:
			for s := 0; s < size; s += 64 {
				low, high, to := u[2*s:][:64], u[2*s+64:][:64], b[s:][:64]
				for n, v := range low {
					to[n] = v | high[n]<<4
				}
			}
		default:
			clear(b)
			for s := 0; s < size; s += 64 * bits {
				intPackPlanes(b[s:], u[s/bits*8:], bits)
			}
		}
	}
}

// intSpread converts rows of signed integers q to a tile of integers u, in the layout of 8
// bits. Rows and columns that fill the tile get u = 2^(bits−1).
func intSpread(u []byte, q []int8, bits, rows, cols int) {
	off, top := byte(intOffset(bits)), byte(1<<bits-1)
	if rows < intLanes || cols*intLanes < len(u) {
		for i := range u {
			u[i] = off
		}
	}
	for lane := range rows {
		row, at := q[lane*cols:][:cols], 4*lane
		for ; len(row) >= 4; row, at = row[4:], at+64 {
			to := u[at : at+4 : at+4]
			to[0], to[1] = (byte(row[0])+off)&top, (byte(row[1])+off)&top
			to[2], to[3] = (byte(row[2])+off)&top, (byte(row[3])+off)&top
		}
		for i, v := range row {
			u[at+i] = (byte(v) + off) & top
		}
	}
}

// UnpackTiles is the inverse of [PackTiles]: it sets q [rows×cols] to the signed integers of
// tiles.
func UnpackTiles(q []int8, bits int, tiles []byte, rows, cols int) {
	q = q[:rows*cols]
	if intPlanar(bits) {
		size, steps := intTileBytes(bits, cols), shape.CeilDiv(cols, intPlaneStep)
		u := make([]byte, steps*intPlaneStep*intLanes)
		for first := 0; first < rows; first += intLanes {
			intUnpackPortable(u, tiles[first/intLanes*size:], bits, steps, byte(128-intOffset(bits)))
			n := min(intLanes, rows-first)
			UnpackTiles(q[first*cols:], 8, u, n, cols)
		}
		return
	}
	step, off := intStep(bits), intOffset(bits)
	steps := shape.CeilDiv(cols, step)
	for r := range rows {
		row, lane := tiles[r/intLanes*steps*64:], 4*(r%intLanes)
		for c := range cols {
			b := row[c/step*64+lane+c%4]
			if bits == 4 {
				b = b >> (c % 8 / 4 * 4) & 15
			}
			q[r*cols+c] = int8(int32(b) - off)
		}
	}
}

// PackScales writes scales (or zero points) [rows×groups], which are row-major, to dst in the
// layout of [Matrix.Scale], which has [ScaleLen] elements. Rows that fill the last tile get 0.
func PackScales(dst, scale []float32, rows, cols, group int) {
	n, _ := intGroups(cols, group)
	dst = dst[:ScaleLen(rows, cols, group)]
	for i := range dst {
		r, g := i/(n*intLanes)*intLanes+i%intLanes, i/intLanes%n
		dst[i] = 0
		if r < rows {
			dst[i] = scale[r*n+g]
		}
	}
}

// intMaxCols is the largest number of columns. It makes sure that Σ (u−offset)·q over a row
// fits 32 bits: 128·128·cols is below 2³¹.
const intMaxCols = 1<<17 - 1

// NewMatrix makes a matrix and computes its row sums. It returns an error if the data do not
// fit the shape. tiles has [TileBytes] bytes and scale [ScaleLen] finite elements, in the
// order [tile][group][16]; the matrix keeps references to both, but keeps scales in 16 bits if
// that is exact. zero has as many finite elements in the same order, or one for all, or is nil
// for 2^(bits−1). group is a multiple of 8, or 0 for one scale for each row.
func NewMatrix(bits, rows, cols, group int, tiles []byte, scale, zero []float32) (*Matrix, error) {
	return newMatrix(&Matrix{Bits: bits, Rows: rows, Cols: cols, Group: group, Tiles: tiles, Scale: scale, HalfScale: exactHalves(scale)}, zero)
}

// NewHalfMatrix is [NewMatrix] for scales that are 16-bit floats.
func NewHalfMatrix(bits, rows, cols, group int, tiles []byte, scale []uint16, zero []float32) (*Matrix, error) {
	return newMatrix(&Matrix{Bits: bits, Rows: rows, Cols: cols, Group: group, Tiles: tiles, HalfScale: scale}, zero)
}

// newMatrix checks a matrix and sets what follows from its zero points. It has scales in 32 bits,
// in 16 or, if they are the same, in both, of which it keeps those in 16.
func newMatrix(w *Matrix, zero []float32) (*Matrix, error) {
	bits, rows, cols, group, tiles := w.Bits, w.Rows, w.Cols, w.Group, w.Tiles
	if w.HalfScale != nil {
		w.Scale = nil
	}
	switch {
	case bits < 2 || bits > 8:
		return nil, fmt.Errorf("integer matrix: %d bits; 2 to 8 are supported", bits)
	case rows <= 0 || cols <= 0:
		return nil, fmt.Errorf("integer matrix: %d×%d; rows and columns must be positive", rows, cols)
	case cols > intMaxCols:
		return nil, fmt.Errorf("integer matrix: %d columns; at most %d keep a 32-bit sum exact", cols, intMaxCols)
	case rows > math.MaxInt32:
		return nil, fmt.Errorf("integer matrix: %d rows; at most %d are supported", rows, math.MaxInt32)
	case group < 0 || group%8 != 0:
		return nil, fmt.Errorf("integer matrix: groups of %d inputs; the size must be a multiple of 8, or 0 for one per row", group)
	}
	if want := TileBytes(bits, rows, cols); len(tiles) != want {
		return nil, fmt.Errorf("integer matrix: %d bytes of tiles; %d×%d of %d bits need %d", len(tiles), rows, cols, bits, want)
	}
	want := ScaleLen(rows, cols, group)
	if n := len(w.Scale) + len(w.HalfScale); n != want {
		return nil, fmt.Errorf("integer matrix: %d scales; %d×%d in groups of %d need %d", n, rows, cols, group, want)
	}
	if n := len(zero); n > 1 && n != want || n == 0 && zero != nil {
		return nil, fmt.Errorf("integer matrix: %d zero points; %d×%d in groups of %d need %d, or one for all", n, rows, cols, group, want)
	}
	infinite := func(name string, i int, v float32) error {
		n, _ := intGroups(cols, group)
		return fmt.Errorf("integer matrix: %s of row %d, group %d is %v; it must be finite",
			name, i/(n*intLanes)*intLanes+i%intLanes, i/intLanes%n, v)
	}
	for i, s := range w.Scale {
		if s-s != 0 {
			return nil, infinite("scale", i, s)
		}
	}
	for i, s := range w.HalfScale {
		if s&halfInfinity == halfInfinity {
			return nil, infinite("scale", i, float.FromF16(s))
		}
	}
	for i, z := range zero {
		if z-z != 0 {
			return nil, infinite("zero point", i, z)
		}
	}
	w.setZero(zero)
	w.RowSum = w.rowSums()
	return w, nil
}

// halfInfinity are the bits of a 16-bit float that only infinities and NaNs have all.
const halfInfinity = 0x7c00

// rowSums returns the row sums. It computes them as the product with a token of ones, so that
// they have the same bits in every tier, and are computed as fast as products are.
func (w *Matrix) rowSums() []float32 {
	tiles := shape.CeilDiv(w.Rows, intLanes)
	sums := make([]float32, tiles*intLanes)
	padded := *w
	padded.Rows = len(sums)
	padded.RowSum = make([]float32, len(sums))
	var a Activations
	a.reset(1, w.Cols, ActGrid{Bits: 8}, w.Group)
	for i := range a.Q[:w.Cols] {
		a.Q[i] = 1
	}
	a.Scale[0] = 1
	a.sums(0)
	Mul(nil, sums, len(sums), &padded, &a)
	return sums
}
