package integer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPlanesLayout pins the layout of bit planes on disk, one column at a time:
// where its bits lie, as docs/FORMAT.md has it.
func TestPlanesLayout(t *testing.T) {
	for _, bits := range []int{2, 3, 5, 6, 7} {
		const rows, cols = 16, 64
		for i := range rows * cols {
			r, c := i/cols, i%cols
			q := make([]int8, rows*cols)
			for n := range q {
				q[n] = -1 << (bits - 1) // stored as 0
			}
			u := 1 + i%(1<<bits-1)
			q[i] = int8(u - 1<<(bits-1))
			tiles := make([]byte, TileBytes(bits, rows, cols))
			PackTiles(tiles, bits, q, rows, cols)
			want := make([]byte, len(tiles))
			at, low := c/32*64*bits, 0
			k := c % 32
			for _, p := range []struct{ bits, byte, shift int }{
				{4, k/8*64 + 4*r + k%4, k / 4 % 2 * 4},
				{2, k/16*64 + 4*r + k%4, k / 4 % 4 * 2},
				{1, 4*r + k%4, []int{2, 4, 6, 0, 3, 5, 7, 1}[k/4]},
			} {
				if bits&p.bits != 0 {
					want[at+p.byte] = byte(u>>low&(1<<p.bits-1)) << p.shift
					at, low = at+64*p.bits, low+p.bits
				}
			}
			if !slices.Equal(tiles, want) {
				t.Fatalf("%d bits, row %d, column %d: another layout", bits, r, c)
			}
		}
	}
	padding := make([]byte, TileBytes(2, 1, 1))
	PackTiles(padding, 2, []int8{0}, 1, 1)
	if !slices.Equal(padding, slices.Repeat([]byte{0xaa}, 128)) {
		t.Error("2 bits: padding does not stand for zero")
	}
}

// TestZeroPoint: a zero point of 2^(bits-1) changes no bit, and RowSum counts
// zero points.
func TestZeroPoint(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, bits := range intWidths {
		w, q := intRandomMatrix(t, r, bits, 20, 70, 32, false)
		zero := make([]float32, len(w.scales()))
		for i := range zero {
			zero[i] = float32(intOffset(bits))
		}
		same, err := NewMatrix(bits, w.Rows, w.Cols, w.Group, w.Tiles, w.scales(), zero)
		if err != nil || same.shift != nil || intDiffer(same.RowSum, w.RowSum) >= 0 {
			t.Errorf("%d bits: the zero point that is there without one makes a difference: %v", bits, err)
		}
		moved, err := NewMatrix(bits, w.Rows, w.Cols, w.Group, w.Tiles, w.scales(), []float32{0.5})
		if err != nil {
			t.Fatal(err)
		}
		groups, _ := intGroups(w.Cols, w.Group)
		for row := range w.Rows {
			var want float64
			for k := range w.Cols {
				s := w.scales()[(row/16*groups+k/w.Group)*16+row%16]
				want += float64(s) * (float64(q[row*w.Cols+k]) + float64(intOffset(bits)) - 0.5)
			}
			if d := math.Abs(float64(moved.RowSum[row]) - want); !(d <= 1e-5*math.Abs(want)+1e-5) {
				t.Errorf("%d bits, row %d: sum %v, want %v", bits, row, moved.RowSum[row], want)
			}
		}
	}
}
