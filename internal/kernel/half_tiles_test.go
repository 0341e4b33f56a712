package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// halfTiles makes random tiles with counts up to most, and the same as a dense
// matrix of rows × most in output order.
func halfTiles(r *rand.Rand, rows, most int, ordered bool) (HalfTiles, []float32) {
	w := HalfTiles{Rows: rows, Data: make([]uint16, 5)} // tiles need not start at 0
	if ordered {
		for _, i := range r.Perm(rows) {
			w.Order = append(w.Order, int32(i))
		}
	}
	dense := make([]float32, rows*most)
	for r0 := 0; r0 < rows; r0 += tileRows {
		n := r.IntN(most + 1)
		w.Count, w.Offset = append(w.Count, n), append(w.Offset, len(w.Data))
		for p := range n {
			for l := range tileRows {
				if r0+l >= rows {
					w.Data = append(w.Data, 0)
					continue
				}
				h := f32ToF16(float32(r.NormFloat64()))
				w.Data = append(w.Data, h)
				row := r0 + l
				if ordered {
					row = int(w.Order[row])
				}
				dense[row*most+p] = f16ToF32(h)
			}
		}
	}
	return w, dense
}

func TestMulHalfTiles(t *testing.T) {
	one, three := NewPool(1), NewPool(3)
	defer one.Close()
	defer three.Close()
	r := rand.New(rand.NewPCG(11, 12))
	for _, s := range [][3]int{{1, 1, 1}, {0, 1, 1}, {16, 4, 0}, {16, 4, 1}, {17, 5, 3}, {100, 33, 8}, {500, 64, 13}, {31, 300, 4}, {64, 1, 30}} {
		rows, most, tokens := s[0], s[1], s[2]
		for _, ordered := range []bool{false, true} {
			w, dense := halfTiles(r, rows, most, ordered)
			if err := w.Check(most); err != nil {
				t.Fatal(err)
			}
			z, start := randFloats(r, tokens*(most+2)), randFloats(r, tokens*(rows+1))
			var asm []float32
			floatTiers(t, func(t *testing.T) {
				y, y3, alone := append([]float32(nil), start...), append([]float32(nil), start...), append([]float32(nil), start...)
				one.MulHalfTiles(y, rows+1, w, z, most+2, tokens)
				three.MulHalfTiles(y3, rows+1, w, z, most+2, tokens)
				for i := range tokens {
					one.MulHalfTiles(alone[i*(rows+1):], rows+1, w, z[i*(most+2):], most+2, 1)
				}
				sameBits(t, fmt.Sprint(s, " three threads"), y3, y)
				sameBits(t, fmt.Sprint(s, " token by token"), alone, y)
				if Active() > Portable {
					if asm == nil {
						asm = y
					}
					sameBits(t, fmt.Sprint(s, " against the lowest tier with assembly"), y, asm)
				}
				for i := range tokens {
					for j := range rows + 1 {
						want := float64(start[i*(rows+1)+j])
						scale := math.Abs(want)
						if j < rows {
							for p := range most {
								v := float64(dense[j*most+p]) * float64(z[i*(most+2)+p])
								want += v
								scale += math.Abs(v)
							}
						}
						if got := float64(y[i*(rows+1)+j]); !(math.Abs(got-want) <= 2e-6*scale) {
							t.Fatalf("%v ordered=%v: y[%d][%d] = %v, want %v", s, ordered, i, j, got, want)
						}
					}
				}
			})
		}
	}
}

func TestHalfTilesCheck(t *testing.T) {
	good := func() HalfTiles {
		return HalfTiles{Rows: 17, Count: []int{2, 3}, Offset: []int{0, 32}, Data: make([]uint16, 80)}
	}
	for name, spoil := range map[string]func(w *HalfTiles){
		"short data":     func(w *HalfTiles) { w.Data = w.Data[:79] },
		"count above k":  func(w *HalfTiles) { w.Count[0] = 4 },
		"negative count": func(w *HalfTiles) { w.Count[1] = -1 },
		"offset":         func(w *HalfTiles) { w.Offset[0] = -1 },
		"far offset":     func(w *HalfTiles) { w.Offset[0] = math.MaxInt },
		"tiles":          func(w *HalfTiles) { w.Count = w.Count[:1] },
		"rows":           func(w *HalfTiles) { w.Rows = 33 },
		"short order":    func(w *HalfTiles) { w.Order = make([]int32, 16) },
		"order twice":    func(w *HalfTiles) { w.Order = make([]int32, 17) },
		"order":          func(w *HalfTiles) { w.Order = make([]int32, 17); w.Order[4] = 17 },
	} {
		w := good()
		if err := w.Check(3); err != nil {
			t.Fatal(err)
		}
		spoil(&w)
		if w.Check(3) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkMulHalfTiles(b *testing.B) {
	pool := NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	const rows, k = 4096, 16
	w, _ := halfTiles(r, rows, k, false)
	for _, tokens := range []int{1, 128} {
		z, y := randFloats(r, tokens*k), make([]float32, tokens*rows)
		for _, tier := range tiersTo(AVX512)[1:] {
			b.Run(fmt.Sprintf("%d/%v", tokens, tier), func(b *testing.B) {
				defer SetTier(SetTier(tier))
				for b.Loop() {
					pool.MulHalfTiles(y, rows, w, z, k, tokens)
				}
				reportFlops(b, 2*float64(len(w.Data))*float64(tokens))
				b.ReportMetric(2*float64(len(w.Data))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
			})
		}
	}
}

// TestBranches: products with branches have the bits of products followed by
// MulHalfTiles, in order of the rows or not, on every tier.
func TestBranches(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(21, 22))
	const cols, most = 200, 9
	for _, tokens := range []int{1, 2, 5, 12, 31} {
		x, z := intRandomTokens(r, tokens, cols), randFloats(r, tokens*(most+1))
		var ws []*IntMatrix
		b := Branches{Z: z, Ldz: most + 1}
		var ld []int
		for i, rows := range []int{64, 33, 100, 48, 150} {
			w, _ := intRandomMatrix(t, r, 4+i%2*4, rows, cols, 64, false)
			ws, ld = append(ws, w), append(ld, rows+i%2)
			c, _ := halfTiles(r, rows, most, i == 2)
			b.Tiles = append(b.Tiles, &c)
		}
		b.Tiles[3] = nil
		intTiers(t, func(t *testing.T) {
			var a Activations
			a.Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 1}, 64)
			results := func() (ys [][]float32) {
				for i := range ws {
					ys = append(ys, make([]float32, tokens*ld[i]))
				}
				return ys
			}
			y, yf, want, wantf := results(), results(), results(), results()
			pool.MulInts(y, ld, ws, &a, b)
			pool.MulIntFloats(yf, ld, ws, x, cols, tokens, b)
			pool.MulInts(want, ld, ws, &a, Branches{})
			pool.MulIntFloats(wantf, ld, ws, x, cols, tokens, Branches{})
			for i := range ws {
				if b.Tiles[i] != nil {
					pool.MulHalfTiles(want[i], ld[i], *b.Tiles[i], z, most+1, tokens)
					pool.MulHalfTiles(wantf[i], ld[i], *b.Tiles[i], z, most+1, tokens)
				}
				sameBits(t, fmt.Sprint(tokens, " tokens, integers, matrix ", i), y[i], want[i])
				sameBits(t, fmt.Sprint(tokens, " tokens, floats, matrix ", i), yf[i], wantf[i])
			}
		})
	}
}
