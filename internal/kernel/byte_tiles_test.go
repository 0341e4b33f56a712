package kernel

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// byteTilesOf makes random tiles, and the same as a dense matrix of rows × count.
func byteTilesOf(r *rand.Rand, rows, count int) (*ByteTiles, []float32) {
	w := &ByteTiles{Rows: rows, Count: count, Scale: make([]float32, count)}
	w.Codes = make([]int8, w.tiles()*count*tileRows)
	for i := range w.Scale {
		w.Scale[i] = f16ToF32(f32ToF16(float32(math.Exp(3 * r.NormFloat64()))))
	}
	dense := make([]float32, rows*count)
	for i := range rows {
		for c := range count {
			w.Codes[(i/tileRows*count+c)*tileRows+i%tileRows] = int8(r.IntN(255) - 127)
			dense[i*count+c] = w.At(i, c)
		}
	}
	return w, dense
}

// TestMulByteTiles holds tiers, threads and numbers of tokens to the same bits,
// and those to float64.
func TestMulByteTiles(t *testing.T) {
	one, three := NewPool(1), NewPool(3)
	defer one.Close()
	defer three.Close()
	r := rand.New(rand.NewPCG(11, 12))
	shapes := [][3]int{{0, 1, 1}, {16, 4, 0}, {17, 5, 3}, {100, 33, 8}, {500, 64, 13}, {31, 300, 4}, {1000, 16, 30}}
	for count := range 18 {
		shapes = append(shapes, [3]int{1 + 37*count%150, count, 1 + 5*count%14})
	}
	for _, s := range shapes {
		rows, count, tokens := s[0], s[1], s[2]
		w, dense := byteTilesOf(r, rows, count)
		if err := w.Check(count); err != nil {
			t.Fatal(err)
		}
		ldz, ldy := count+2, rows+1
		z, start := randFloats(r, tokens*ldz), randFloats(r, tokens*ldy)
		var first []float32
		floatTiers(t, func(t *testing.T) {
			y, y3, alone := append([]float32(nil), start...), append([]float32(nil), start...), append([]float32(nil), start...)
			one.MulByteTiles(y, ldy, w, z, ldz, tokens)
			three.MulByteTiles(y3, ldy, w, z, ldz, tokens)
			for i := range tokens {
				one.MulByteTiles(alone[i*ldy:], ldy, w, z[i*ldz:], ldz, 1)
			}
			sameBits(t, fmt.Sprint(s, " three threads"), y3, y)
			sameBits(t, fmt.Sprint(s, " token by token"), alone, y)
			if first == nil {
				first = y
			}
			sameBits(t, fmt.Sprint(s, " against the other tiers"), y, first)
			for i := range tokens {
				for j := range ldy {
					want := float64(start[i*ldy+j])
					scale := math.Abs(want)
					if j < rows {
						for p := range count {
							v := float64(dense[j*count+p]) * float64(z[i*ldz+p])
							want += v
							scale += math.Abs(v)
						}
					}
					if got := float64(y[i*ldy+j]); !(math.Abs(got-want) <= 2e-6*scale) {
						t.Fatalf("%v: y[%d][%d] = %v, want %v", s, i, j, got, want)
					}
				}
			}
		})
	}
}

// TestFusedCode holds the portable multiply-add to one rounding of the exact sum.
func TestFusedCode(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200000 {
		code := int8(r.IntN(255) - 127)
		v := float32(math.Ldexp(r.Float64()*2-1, r.IntN(60)-30))
		sum := float32(math.Ldexp(r.Float64()*2-1, r.IntN(60)-30))
		if r.IntN(2) == 0 { // the sum half a unit beyond a number, or nearly
			sum = float32(code) * v * float32(math.Ldexp(1, 20+r.IntN(9)))
		}
		got := fusedCode(code, v, sum)
		exact := new(big.Float).SetPrec(200).SetFloat64(float64(code) * float64(v))
		exact.Add(exact, big.NewFloat(float64(sum)))
		if want, _ := exact.Float32(); got != want {
			t.Fatalf("%d·%v + %v = %v, want %v", code, v, sum, got, want)
		}
	}
	inf := float32(math.Inf(1))
	if v := fusedCode(1, inf, 1); v != inf {
		t.Error(v)
	}
	if v := fusedCode(1, inf, -inf); v == v {
		t.Error(v)
	}
}

func TestByteTilesCheck(t *testing.T) {
	good := func() *ByteTiles {
		return &ByteTiles{Rows: 17, Count: 3, Codes: make([]int8, 96), Scale: make([]float32, 3)}
	}
	for name, spoil := range map[string]func(w *ByteTiles){
		"short codes":    func(w *ByteTiles) { w.Codes = w.Codes[:95] },
		"long codes":     func(w *ByteTiles) { w.Codes = make([]int8, 97) },
		"count above k":  func(w *ByteTiles) { w.Count = 4 },
		"negative count": func(w *ByteTiles) { w.Count = -1 },
		"rows":           func(w *ByteTiles) { w.Rows = 33 },
		"negative rows":  func(w *ByteTiles) { w.Rows = -1 },
		"scales":         func(w *ByteTiles) { w.Scale = w.Scale[:2] },
	} {
		w := good()
		if err := w.Check(3); err != nil {
			t.Fatal(err)
		}
		spoil(w)
		if w.Check(3) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestByteBranches: products with branches have the bits of products followed by
// MulByteTiles, beside branches in 16 bits, on every tier.
func TestByteBranches(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(21, 22))
	const cols, count = 200, 9
	for _, tokens := range []int{1, 2, 5, 12, 31} {
		x, z := intRandomTokens(r, tokens, cols), randFloats(r, tokens*(count+1))
		var ws []*IntMatrix
		b := Branches{Z: z, Ldz: count + 1}
		var ld []int
		for i, rows := range []int{64, 33, 100, 48, 150, 256} {
			w, _ := intRandomMatrix(t, r, 4+i%2*4, rows, cols, 64, false)
			ws, ld = append(ws, w), append(ld, rows+i%2)
			c, _ := byteTilesOf(r, rows, count-i%3)
			b.Bytes = append(b.Bytes, c)
			b.Tiles = append(b.Tiles, nil)
		}
		half, _ := halfTiles(r, 48, count, false)
		b.Tiles[3], b.Bytes[3] = &half, nil
		b.Bytes, b.Tiles = b.Bytes[:5], b.Tiles[:4]
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
				for _, y := range [][]float32{want[i], wantf[i]} {
					if i < len(b.Bytes) && b.Bytes[i] != nil {
						pool.MulByteTiles(y, ld[i], b.Bytes[i], z, count+1, tokens)
					} else if i < len(b.Tiles) && b.Tiles[i] != nil {
						pool.MulHalfTiles(y, ld[i], *b.Tiles[i], z, count+1, tokens)
					}
				}
				sameBits(t, fmt.Sprint(tokens, " tokens, integers, matrix ", i), y[i], want[i])
				sameBits(t, fmt.Sprint(tokens, " tokens, floats, matrix ", i), yf[i], wantf[i])
			}
		})
	}
}

func BenchmarkMulByteTiles(b *testing.B) {
	pool := NewPool(0)
	defer pool.Close()
	r := rand.New(rand.NewPCG(1, 1))
	const rows, k = 4096, 16
	w, _ := byteTilesOf(r, rows, k)
	for _, tokens := range []int{1, 128} {
		z, y := randFloats(r, tokens*k), make([]float32, tokens*rows)
		for tier := AVX2; tier <= min(Best(), AVX512); tier++ {
			b.Run(fmt.Sprintf("%d/%v", tokens, tier), func(b *testing.B) {
				defer SetTier(SetTier(tier))
				for b.Loop() {
					pool.MulByteTiles(y, rows, w, z, k, tokens)
				}
				reportFlops(b, 2*float64(len(w.Codes))*float64(tokens))
			})
		}
	}
}
