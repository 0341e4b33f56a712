package integer

import "github.com/specquant/specquant/internal/kernel/shape"

// In some formats (IQ4_NL and MXFP4 of GGUF files) the values of weights are not evenly
// spaced: 4 bits are an index into a table of 16 integers of 8 bits, the levels. Such a matrix
// is stored like one of 4 bits, and the integer u is the index:
//
//	weight[r][k] = Scale[r, k/Group] · levels[u[r][k]]
//
// The product is that with a matrix of 8 bits whose integers are levels[u] + 128, to the bit,
// because integer sums are exact. Some routines look the levels up while they multiply. For
// all others the tiles are first unpacked to bytes, as bit planes are.

// intLevels are the levels of a matrix.
type intLevels struct {
	stored [16]byte // as the stored values of 8 bits, level + 128; first, for kernels
	signed [16]int8
}

func newIntLevels(levels *[16]int8) *intLevels {
	l := &intLevels{signed: *levels}
	for i, v := range levels {
		l.stored[i] = byte(int(v) + 128)
	}
	return l
}

// NewLevelsMatrix is [NewMatrix] for weights that are indices of 4 bits into a table of
// levels. tiles holds the indices as [PackTiles] with 4 bits writes index − 8.
func NewLevelsMatrix(levels *[16]int8, rows, cols, group int, tiles []byte, scale []float32) (*Matrix, error) {
	return newMatrix(&Matrix{Bits: 4, Rows: rows, Cols: cols, Group: group, Tiles: tiles, Scale: scale, HalfScale: exactHalves(scale), levels: newIntLevels(levels)}, nil)
}

// packed reports whether kernels for weights of 4 and 8 bits can't read the tiles as they
// are stored.
func (w *Matrix) packed() bool {
	return intPlanar(w.Bits) || w.levels != nil || w.multiples != nil
}

// intUnpackLevelsPortable converts steps of indices into a table of levels to the layout for
// 8 bits.
func intUnpackLevelsPortable(dst, src []byte, levels *intLevels, steps int) {
	for step := range steps {
		low, high := dst[step*128:][:64], dst[step*128+64:][:64]
		for n, u := range src[step*64:][:64] {
			low[n], high[n] = levels.stored[u&15], levels.stored[u>>4]
		}
	}
}

// intLevelSteps is the number of steps of a row tile of indices.
func intLevelSteps(cols int) int { return shape.CeilDiv(cols, intStep(4)) }
