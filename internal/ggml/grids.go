package ggml

import (
	_ "embed" // grids.bin
	"math/bits"
)

// The tables of the types IQ1, IQ2 and IQ3, which are part of the format. An index selects a
// point of eight or four small numbers. grids.bin has them packed in 2 or 4 bits per number,
// lowest bits first, one grid after the other in the order below; testdata/goldens.py writes it
// from the tables of the Python package gguf, which are those of ggml (MIT licence, copyright
// 2023-2026 the ggml authors).
//
//go:embed grids.bin
var packedGrids []byte

var (
	grid2XXS = newGrid(0, 256, 8, 2, 8, 25, 43)
	grid2XS  = newGrid(512, 512, 8, 2, 8, 25, 43)
	grid2S   = newGrid(1536, 1024, 8, 2, 8, 25, 43)
	grid3XXS = newGrid(3584, 256, 4, 4, 4, 12, 20, 28, 36, 44, 52, 62)
	grid3S   = newGrid(4096, 512, 4, 4, 1, 3, 5, 7, 9, 11, 13, 15)
	grid1    = newGrid(5120, 2048, 8, 2, -1, 0, 1)
)

// grid is a table of points of n numbers each.
type grid struct {
	n      int
	points []int8
}

// newGrid unpacks count points of n numbers, each stored in the given number of bits, from
// packedGrids. A packed number is an index into values.
func newGrid(from, count, n, bits int, values ...int8) grid {
	g := grid{n, make([]int8, count*n)}
	for i := range g.points {
		at := i * bits
		g.points[i] = values[packedGrids[from+at/8]>>(at%8)&(1<<bits-1)]
	}
	return g
}

func (g grid) at(i int) []int8 { return g.points[i*g.n:][:g.n] }

// signs returns the sign bits of eight numbers. Seven are stored; the eighth makes the number
// of minus signs even.
func signs(seven byte) byte { return seven | byte(bits.OnesCount8(seven)&1)<<7 }

// signed writes a point's numbers to q, negated where the corresponding bit of sign (the lowest
// for the first number) is set.
func signed(q []int8, point []int8, sign byte) {
	for i, v := range point {
		if sign>>i&1 != 0 {
			v = -v
		}
		q[i] = v
	}
}
