package integer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// intRandomMultiples returns a matrix with multiples, and the matrix of 8 bits with the same
// weights. The first row has the lowest integers and the largest multiples, the second one the highest.
func intRandomMultiples(t testing.TB, r *rand.Rand, bits, rows, cols, group int) (w, bytes *Matrix) {
	t.Helper()
	groups, size := intGroups(cols, group)
	off, most := intOffset(bits), MaxMultiple(bits)
	multiple := make([]uint8, rows*groups)
	for i := range multiple {
		multiple[i] = uint8(1 + r.IntN(most))
		if i < 2*groups {
			multiple[i] = uint8(most)
		}
	}
	q, value := make([]int8, rows*cols), make([]int8, rows*cols)
	for i := range q {
		q[i] = int8(r.Int32N(2*off) - off)
		switch i / cols {
		case 0:
			q[i] = int8(-off)
		case 1:
			q[i] = int8(off - 1)
		}
		integer := int(q[i])
		if bits <= 3 {
			integer = 2*integer + 1
		}
		v := integer * int(multiple[i/cols*groups+i%cols/size])
		if value[i] = int8(v); v != int(value[i]) {
			t.Fatalf("%d does not fit a byte", v)
		}
	}
	rowScale := make([]float32, rows)
	for i := range rowScale {
		rowScale[i] = float.FromF16(float.ToF16(r.Float32() * 0.02))
	}
	scale := make([]float32, ScaleLen(rows, cols, 0))
	PackScales(scale, rowScale, rows, cols, 0)
	half := make([]uint16, len(scale))
	float.F32ToF16(half, scale)
	few, eight := make([]byte, TileBytes(bits, rows, cols)), make([]byte, TileBytes(8, rows, cols))
	PackTiles(few, bits, q, rows, cols)
	PackTiles(eight, 8, value, rows, cols)
	packed := make([]byte, MultiplesBytes(bits, rows, cols, group))
	PackMultiples(packed, bits, multiple, rows, cols, group)
	back := make([]uint8, len(multiple))
	UnpackMultiples(back, bits, packed, rows, cols, group)
	for i, m := range multiple {
		if back[i] != m {
			t.Fatalf("multiple %d is %d, want %d", i, back[i], m)
		}
	}
	for row := range rows {
		UnpackRowMultiples(back, bits, packed, row, cols, group)
		if !slices.Equal(back[:groups], multiple[row*groups:][:groups]) {
			t.Fatalf("row %d has multiples %d, want %d", row, back[:groups], multiple[row*groups:][:groups])
		}
	}
	w, err := NewMultiplesMatrix(bits, rows, cols, group, few, half, packed)
	if err != nil {
		t.Fatal(err)
	}
	if bytes, err = NewHalfMatrix(8, rows, cols, 0, eight, half, nil); err != nil {
		t.Fatal(err)
	}
	return w, bytes
}

var multiplesShapes = []struct{ rows, cols, group int }{
	{70, 256, 32}, {853, 64, 32}, {100, 40, 16}, {33, 96, 32}, {37, 512, 16}, {16, 2080, 32}, {16, 32, 16},
	{48, 576, 128}, {31, 896, 64}, {64, 1536, 16}, {5, 33, 32}, {16, 7, 16}, {96, 160, 64}, {40, 48, 16},
}

// TestMultiples: weights whose groups' scales are multiples of the row's multiply to the bits of
// the same weights in 8 bits, in every tier and with every number of tokens.
func TestMultiples(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(52, 1))
		for n, s := range multiplesShapes {
			if testing.Short() && n%4 != 0 {
				continue
			}
			for bits := 2; bits <= 7; bits++ {
				w, bytes := intRandomMultiples(t, r, bits, s.rows, s.cols, s.group)
				if i := intDiffer(w.RowSum, bytes.RowSum); i >= 0 {
					t.Fatalf("%v, %d bits: sum %d is %v, want %v", s, bits, i, w.RowSum[i], bytes.RowSum[i])
				}
				for _, tokens := range []int{1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 25, 40} {
					x := intRandomTokens(r, tokens, s.cols)
					for i := range x[:s.cols] {
						x[i] = -1 // all of the first token's integers are the smallest
						if tokens > 1 {
							x[s.cols+i] = 1 // and all of the second's the largest
						}
					}
					for _, grid := range []ActGrid{{Bits: 8, Clip: 1}, {Bits: 4, Clip: 1}, {Bits: 4, Clip: 1, Group: 16}} {
						var a Activations
						a.Quantize(pool, x, s.cols, tokens, s.cols, grid, 0)
						got, want := make([]float32, tokens*s.rows), make([]float32, tokens*s.rows)
						Mul(pool, got, s.rows, w, &a)
						Mul(pool, want, s.rows, bytes, &a)
						if i := intDiffer(got, want); i >= 0 {
							t.Fatalf("%v, %d bits, %d tokens, %+v: output %d is %v, want %v", s, bits, tokens, grid, i, got[i], want[i])
						}
					}
					got, want := make([]float32, tokens*s.rows), make([]float32, tokens*s.rows)
					MulFloat(pool, got, s.rows, w, x, s.cols, tokens)
					MulFloat(pool, want, s.rows, bytes, x, s.cols, tokens)
					if i := intDiffer(got, want); i >= 0 {
						t.Fatalf("%v, %d bits, %d float tokens: output %d is %v, want %v", s, bits, tokens, i, got[i], want[i])
					}
				}
			}
		}
	})
}

// TestPackMultiples pins the layout of multiples on disk.
func TestPackMultiples(t *testing.T) {
	for bits, most := range map[int]int{2: 16, 3: 16, 4: 16, 5: 8, 6: 4, 7: 2} {
		if got := MaxMultiple(bits); got != most {
			t.Errorf("%d bits: the largest multiple is %d, want %d", bits, got, most)
		}
		const rows, groups = 18, 3
		width := min(4, 8-bits)
		multiple := make([]uint8, rows*groups)
		for i := range multiple {
			multiple[i] = uint8(1 + i*7%most)
		}
		packed := make([]byte, MultiplesBytes(bits, rows, 16*groups, 16))
		if n := 2*groups*2*width + 8 - 2*width; len(packed) != n {
			t.Fatalf("%d bits: %d bytes, want %d", bits, len(packed), n)
		}
		PackMultiples(packed, bits, multiple, rows, 16*groups, 16)
		for i, m := range multiple {
			row, g := i/groups, i%groups
			first := (row/16*groups+g)*16*width + row%16*width // bit
			var got int
			for b := range width {
				at := first + b
				got |= int(packed[at/8]>>(at%8)&1) << b
			}
			if got+1 != int(m) {
				t.Errorf("%d bits: multiple %d is %d, want %d", bits, i, got+1, m)
			}
		}
	}
}

// TestNewMultiplesMatrix: matrices that do not fit together are errors.
func TestNewMultiplesMatrix(t *testing.T) {
	for _, c := range []struct{ bits, group, tiles, scales, multiples int }{
		{1, 32, 0, 0, 0}, {8, 32, 0, 0, 0}, {5, 8, 0, 0, 0}, {5, 48, 0, 0, 0}, {5, 0, 0, 0, 0},
		{5, 32, 1, 0, 0}, {5, 32, 0, 1, 0}, {5, 32, 0, 0, 1}, {5, 32, 0, 0, -1}, {3, 32, 0, 0, 1}, {2, 16, 0, 0, -1},
	} {
		const rows, cols = 20, 64
		bits, group := min(max(c.bits, 2), 7), max(16, c.group)
		_, err := NewMultiplesMatrix(c.bits, rows, cols, c.group, make([]byte, TileBytes(bits, rows, cols)+c.tiles),
			make([]uint16, ScaleLen(rows, cols, 0)+c.scales), make([]byte, MultiplesBytes(bits, rows, cols, group)+c.multiples))
		if err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

// BenchmarkMultiplesTurns takes turns, on one thread, between weights whose groups have scales of 16
// bits and a zero point, as centred grids have, and weights with multiples, so that the ratios of
// the best turns hold on a machine that others use. GOPS counts two operations for each weight and
// token.
func BenchmarkMultiplesTurns(b *testing.B) {
	pool := parallel.NewPool(1)
	defer pool.Close()
	const rows, cols = 512, 2048
	kinds := []struct {
		name     string
		group    int
		multiple bool
	}{{"g128", 128, false}, {"g64", 64, false}, {"g32", 32, false}, {"multiples32", 32, true}, {"multiples16", 16, true}}
	for _, bits := range []int{2, 3, 4, 5} {
		for _, at := range []struct {
			place string
			bytes int
		}{{"cache", 1}, {"memory", 64 << 20}} {
			for _, tokens := range []int{1, 2, 4, 8, 16, 128, 512} {
				if tokens > 8 && at.bytes > 1 {
					continue
				}
				b.Run(fmt.Sprintf("w%d/%s/t%d", bits, at.place, tokens), func(b *testing.B) {
					x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, cols)
					y := make([]float32, rows*tokens)
					ws, as := make([][]*Matrix, len(kinds)), make([]Activations, len(kinds))
					for i, k := range kinds {
						ws[i] = intBenchSome(b, bits, rows, cols, k.group, at.bytes)
						group := k.group
						for _, w := range ws[i] {
							if !k.multiple {
								w.setZero([]float32{float32(intOffset(bits)) - 0.5})
								continue
							}
							group = 0
							w.multiples = &intMultiples{group: k.group, data: make([]byte, MultiplesBytes(bits, rows, cols, k.group))}
							w.Group, w.HalfScale = 0, w.HalfScale[:rows]
						}
						as[i].Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 1}, group)
					}
					best := make([]time.Duration, len(kinds))
					for n := 0; b.Loop(); n++ {
						for i := range kinds {
							start := time.Now()
							for _, w := range ws[i] {
								Mul(pool, y, rows, w, &as[i])
							}
							if d := time.Since(start); n == 0 || d < best[i] {
								best[i] = d
							}
						}
					}
					for i, k := range kinds {
						b.ReportMetric(float64(2*len(ws[i])*rows*cols*tokens)/1e9/best[i].Seconds(), k.name)
					}
				})
			}
		}
	}
}

// BenchmarkMultiplesWidths takes turns, on one thread, between the widths of weights with multiples
// for groups of 16, and weights of 3 bits whose groups of 32 have scales of 16 bits and a zero point, as
// centred grids have. The ratios of the best turns, of which each is the time over that of the latter,
// hold on a machine that others use.
func BenchmarkMultiplesWidths(b *testing.B) {
	pool := parallel.NewPool(1)
	defer pool.Close()
	kinds := []struct {
		name     string
		bits     int
		group    int
		multiple bool
	}{{"w3g32", 3, 32, false}, {"w2m16", 2, 16, true}, {"w3m16", 3, 16, true}, {"w3m32", 3, 32, true}, {"w4m16", 4, 16, true}}
	for _, s := range [][2]int{{2048, 2048}, {576, 1536}} {
		for _, tokens := range []int{1, 2, 4, 8, 512} {
			rows, cols := s[0], s[1]
			b.Run(fmt.Sprintf("%dx%d/t%d", rows, cols, tokens), func(b *testing.B) {
				x := intRandomTokens(rand.New(rand.NewPCG(1, 1)), tokens, cols)
				y := make([]float32, rows*tokens)
				ws, as := make([][]*Matrix, len(kinds)), make([]Activations, len(kinds))
				for i, k := range kinds {
					few := 1 // matrices: with few tokens they are read from memory
					if tokens <= 8 {
						few = 24 << 20
					}
					group := k.group
					ws[i] = intBenchSome(b, k.bits, rows, cols, group, few)
					for _, w := range ws[i] {
						if k.multiple {
							w.multiples = &intMultiples{group: k.group, data: make([]byte, MultiplesBytes(k.bits, rows, cols, k.group))}
							w.Group, w.HalfScale, group = 0, w.HalfScale[:rows], 0
						} else {
							w.setZero([]float32{float32(intOffset(k.bits)) - 0.5})
						}
					}
					as[i].Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 1}, group)
				}
				best := make([]time.Duration, len(kinds))
				for n := 0; b.Loop(); n++ {
					for i := range kinds {
						start := time.Now()
						for _, w := range ws[i] {
							Mul(pool, y, rows, w, &as[i])
						}
						if d := time.Since(start) / time.Duration(len(ws[i])); n == 0 || d < best[i] {
							best[i] = d
						}
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(best[0].Nanoseconds())/1e3, kinds[0].name+"-us")
				for i, k := range kinds[1:] {
					b.ReportMetric(best[i+1].Seconds()/best[0].Seconds(), k.name+"/w3g32")
				}
			})
		}
	}
}
