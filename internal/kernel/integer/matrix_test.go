package integer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intTiers runs f once on every tier of this CPU.
func intTiers(t *testing.T, f func(t *testing.T)) {
	for _, tier := range cpu.Tiers() {
		t.Run(tier.String(), func(t *testing.T) {
			defer cpu.SetTier(cpu.SetTier(tier))
			f(t)
		})
	}
}

// intWidths are the bits of weights there are.
var intWidths = []int{2, 3, 4, 5, 6, 7, 8}

// intZeros are kinds of zero points: none, one for all, one for each group.
type intZeros int

func intRandomMatrix(t testing.TB, r *rand.Rand, bits, rows, cols, group int, extreme bool) (*Matrix, []int8) {
	t.Helper()
	return intRandomZeros(t, r, bits, rows, cols, group, extreme, 0)
}

func intRandomZeros(t testing.TB, r *rand.Rand, bits, rows, cols, group int, extreme bool, kind intZeros) (*Matrix, []int8) {
	t.Helper()
	q := make([]int8, rows*cols)
	for i := range q {
		q[i] = int8(r.IntN(1<<bits) - 1<<(bits-1))
		if extreme {
			q[i] = int8(-(1 << (bits - 1)) + (1<<bits-1)*(i/3%2))
		}
	}
	n, _ := intGroups(cols, group)
	rowScale := make([]float32, rows*n)
	for i := range rowScale {
		rowScale[i] = r.Float32() * 0.02
	}
	halveSome(rowScale, rows+cols+bits)
	scale := make([]float32, ScaleLen(rows, cols, group))
	PackScales(scale, rowScale, rows, cols, group)
	tiles := make([]byte, TileBytes(bits, rows, cols))
	PackTiles(tiles, bits, q, rows, cols)
	var zero []float32
	switch kind {
	case 1:
		zero = []float32{float32(int(1)<<bits-1) / 2}
	case 2:
		rowZero := make([]float32, rows*n)
		for i := range rowZero {
			rowZero[i] = float32(r.IntN(1<<(bits+1))) / 2
		}
		zero = make([]float32, len(scale))
		PackScales(zero, rowZero, rows, cols, group)
	}
	w, err := NewMatrix(bits, rows, cols, group, tiles, scale, zero)
	if err != nil {
		t.Fatal(err)
	}
	return w, q
}

// halveSome makes scales 16-bit floats if n is even, so that matrices of both kinds are tested.
func halveSome(scale []float32, n int) {
	if n%2 == 0 {
		float.RoundF16(scale)
	}
}

// scales returns the scales of a matrix in 32 bits.
func (w *Matrix) scales() []float32 {
	if w.HalfScale == nil {
		return w.Scale
	}
	scale := make([]float32, len(w.HalfScale))
	float.F16ToF32(scale, w.HalfScale)
	return scale
}

func intRandomTokens(r *rand.Rand, tokens, cols int) []float32 {
	x := make([]float32, tokens*cols)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func TestTilesRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, bits := range intWidths {
		for _, s := range [][2]int{{1, 1}, {16, 8}, {17, 9}, {5, 4}, {48, 64}, {33, 70}, {16, 32}, {1, 33}} {
			w, q := intRandomMatrix(t, r, bits, s[0], s[1], 0, false)
			back := make([]int8, len(q))
			UnpackTiles(back, bits, w.Tiles, s[0], s[1])
			if !slices.Equal(q, back) {
				t.Errorf("%d bits, %v: tiles do not give back the integers", bits, s)
			}
			if s[0]%16 == 0 && s[1]%32 == 0 && len(w.Tiles)*8 != bits*len(q) {
				t.Errorf("%d bits, %v: %d bytes", bits, s, len(w.Tiles))
			}
		}
	}
}

// TestTilesLayout pins the layout on disk.
func TestTilesLayout(t *testing.T) {
	q := make([]int8, 17*9)
	q[2*9+1] = 3  // row 2, column 1: low nibble of byte 9
	q[2*9+5] = -2 // row 2, column 5: high nibble of byte 9
	q[16*9+8] = 7 // row 16, column 8: tile 1, step 1, byte 0
	tiles := make([]byte, TileBytes(4, 17, 9))
	PackTiles(tiles, 4, q, 17, 9)
	if len(tiles) != 256 || tiles[9] != 11|6<<4 || tiles[192] != 15|8<<4 || tiles[255] != 0x88 {
		t.Errorf("4 bits: %d bytes, %#x %#x %#x", len(tiles), tiles[9], tiles[192], tiles[255])
	}
	tiles = make([]byte, TileBytes(8, 17, 9))
	PackTiles(tiles, 8, q, 17, 9)
	if len(tiles) != 384 || tiles[9] != 131 || tiles[64+9] != 126 || tiles[192+128] != 135 || tiles[383] != 128 {
		t.Errorf("8 bits: %d bytes, %v %v %v", len(tiles), tiles[9], tiles[64+9], tiles[320])
	}
}

func TestNewMatrixRejects(t *testing.T) {
	tiles, scale := make([]byte, TileBytes(4, 16, 16)), make([]float32, 16)
	nan := make([]float32, 16)
	nan[3] = float32(math.NaN())
	for _, c := range []struct {
		name                    string
		bits, rows, cols, group int
		tiles                   []byte
		scale                   []float32
	}{
		{"bits", 1, 16, 16, 0, tiles, scale},
		{"more bits", 9, 16, 16, 0, tiles, scale},
		{"planes", 3, 16, 16, 0, tiles, scale},
		{"rows", 4, 0, 16, 0, nil, nil},
		{"cols", 4, 16, -1, 0, nil, nil},
		{"cols limit", 4, 16, 1 << 20, 0, nil, nil},
		{"group", 4, 16, 16, 12, tiles, scale},
		{"group sign", 4, 16, 16, -8, tiles, scale},
		{"tiles", 4, 16, 16, 0, tiles[1:], scale},
		{"scales", 4, 16, 16, 8, tiles, scale},
		{"nan", 4, 16, 16, 0, tiles, nan},
	} {
		if _, err := NewMatrix(c.bits, c.rows, c.cols, c.group, c.tiles, c.scale, nil); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
	for _, half := range [][]uint16{make([]uint16, 15), append(make([]uint16, 15), 0x7c00), append(make([]uint16, 15), 0xfe01)} {
		if _, err := NewHalfMatrix(4, 16, 16, 0, tiles, half, nil); err == nil {
			t.Errorf("scales %x of 16 bits: accepted", half)
		}
	}
	for _, zero := range [][]float32{{}, make([]float32, 2), make([]float32, 32), nan, nan[3:4]} {
		if _, err := NewMatrix(4, 16, 16, 0, tiles, scale, zero); err == nil {
			t.Errorf("zero points %v: accepted", zero)
		}
	}
}

// TestMulIntMeaning compares with the dequantized product in float64.
func TestMulIntMeaning(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, bits := range intWidths {
		for _, abits := range []int{2, 4, 8} {
			const rows, cols, tokens, group = 19, 150, 5, 32
			w, q := intRandomZeros(t, r, bits, rows, cols, group, false, intZeros(abits/4))
			x := intRandomTokens(r, tokens, cols)
			var a Activations
			a.Quantize(nil, x, cols, tokens, cols, ActGrid{Bits: abits, Clip: 1}, group)
			dx := make([]float32, tokens*cols)
			a.Dequantize(nil, dx, cols)
			scales := w.scales()
			y, yf := make([]float32, tokens*rows), make([]float32, tokens*rows)
			Mul(nil, y, rows, w, &a)
			MulFloat(nil, yf, rows, w, dx, cols, tokens)
			groups, _ := intGroups(cols, group)
			for tok := range tokens {
				for row := range rows {
					var want, mag float64
					for k := range cols {
						i, d := (row/16*groups+k/group)*16+row%16, 0.0
						if w.shift != nil {
							d = float64(w.shift[i%len(w.shift)])
						}
						v := float64(scales[i]) * (float64(q[row*cols+k]) - d) * float64(dx[tok*cols+k])
						want += v
						mag += math.Abs(v) + math.Abs(float64(scales[i])*d*float64(dx[tok*cols+k]))
					}
					for _, got := range []float32{y[tok*rows+row], yf[tok*rows+row]} {
						if d := math.Abs(float64(got) - want); !(d <= 2e-6*mag) {
							t.Fatalf("%d×%d bits, token %d, row %d: %g, want %g", bits, abits, tok, row, got, want)
						}
					}
				}
			}
		}
	}
}

var intShapes = []struct{ rows, cols, group int }{
	{1, 1, 0}, {1, 8, 0}, {15, 7, 0}, {16, 8, 8}, {17, 9, 8}, {31, 12, 0}, {32, 64, 32}, {33, 100, 24},
	{48, 256, 128}, {64, 300, 128}, {100, 130, 64}, {70, 516, 0}, {16, 2049, 256}, {2, 1000, 1000}, {40, 64, 4096}, {33, 200, 64}, {48, 96, 32}, {20, 40, 8}, {853, 64, 32}, {853, 64, 0}, {50, 576, 192}, {32, 640, 320},
}

// TestMulIntTiers compares every tier, token count and thread count with the
// portable definition, bit by bit.
func TestMulIntTiers(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 3))
		for _, bits := range intWidths {
			for n, s := range intShapes {
				if testing.Short() && (n+bits)%4 != 0 {
					continue
				}
				for i, tokens := range []int{1, 2, 3, 4, 5, 8, 9, 13, 25, 40, 33} {
					w, _ := intRandomZeros(t, r, bits, s.rows, s.cols, s.group, i == 4 || i == 8, intZeros((i+bits)%3))
					x := intRandomTokens(r, tokens, s.cols)
					var a Activations
					a.Quantize(pool, x, s.cols, tokens, s.cols, ActGrid{Bits: []int{8, 4, 3}[i%3], Clip: 1}, s.group)
					if i == 4 || i == 8 { // extremes: no saturation anywhere
						for n := range a.Q {
							if n/a.Stride < tokens && n%a.Stride < s.cols {
								a.Q[n] = int8(-128 + 255*(n/5%2))
							}
						}
						for n := range tokens {
							a.sums(n)
						}
					}
					ldy := s.rows + 3
					got, want := make([]float32, tokens*ldy), make([]float32, tokens*ldy)
					for n := range got {
						got[n], want[n] = 77, 77
					}
					Mul(pool, got[:tokens*ldy-3], ldy, w, &a)
					pr := &intProduct{y: want, ldy: ldy, w: w}
					for tile := 0; tile < shape.CeilDiv(s.rows, 16); tile += 2 {
						intMulPairPortable(pr, &a, tile, 0, tokens)
					}
					if n := intDiffer(got, want); n >= 0 {
						t.Fatalf("%d bits, %v, %d tokens: [%d][%d] is %v, want %v", bits, s, tokens, n/ldy, n%ldy, got[n], want[n])
					}
				}
			}
		}
	})
}

// intDiffer is the first index where bits differ, or -1.
func intDiffer(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

func TestMulAllEqualsMul(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(4, 4))
	const cols, tokens = 4096, 130 // more than one panel
	x := intRandomTokens(r, tokens, cols)
	var a Activations
	a.Quantize(pool, x, cols, tokens, cols, ActGrid{Bits: 8, Clip: 0.9}, 128)
	var ws []*Matrix
	var ys, fs [][]float32
	var ld []int
	for i, rows := range []int{64, 33, 100, 40} {
		w, _ := intRandomZeros(t, r, []int{4, 3, 6, 2}[i], rows, cols, 128, false, intZeros(i%3))
		ws, ld = append(ws, w), append(ld, rows)
		ys, fs = append(ys, make([]float32, tokens*rows)), append(fs, make([]float32, tokens*rows))
	}
	MulAll(pool, ys, ld, ws, &a, branch.Terms{})
	MulFloatAll(pool, fs, ld, ws, x, cols, tokens, branch.Terms{})
	for i, w := range ws {
		one := make([]float32, tokens*w.Rows)
		Mul(nil, one, w.Rows, w, &a)
		if intDiffer(one, ys[i]) >= 0 {
			t.Errorf("matrix %d: together and alone differ", i)
		}
		for tok := range tokens { // token by token
			MulFloat(nil, one[tok*w.Rows:], w.Rows, w, x[tok*cols:], cols, 1)
		}
		if intDiffer(one, fs[i]) >= 0 {
			t.Errorf("matrix %d, float: together and alone differ", i)
		}
	}
	var none Activations
	none.Quantize(pool, nil, cols, 0, cols, ActGrid{Bits: 8, Clip: 1}, 128)
	MulAll(pool, ys, ld, ws, &none, branch.Terms{})
	MulFloat(pool, nil, 64, ws[0], nil, cols, 0)
}

// TestMulIntFloatTiers: the assembly tiers have the same bits as each other and
// for every number of tokens, and are near the portable definition.
func TestMulIntFloatTiers(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	r := rand.New(rand.NewPCG(5, 5))
	for _, bits := range intWidths {
		for n, s := range intShapes {
			const tokens = 9
			w, _ := intRandomZeros(t, r, bits, s.rows, s.cols, s.group, false, intZeros(n%3))
			ldx := s.cols + 2
			x := intRandomTokens(r, tokens, ldx)
			for i := range x {
				if i%ldx >= s.cols {
					x[i] = float32(math.NaN()) // must not be touched
				}
			}
			var ref, asm []float32
			for _, tier := range cpu.Tiers() {
				for _, n := range []int{1, 2, 3, 4, 5, tokens} {
					y := make([]float32, n*s.rows)
					former := cpu.SetTier(tier)
					MulFloat(pool, y, s.rows, w, x, ldx, n)
					cpu.SetTier(former)
					switch {
					case tier == cpu.Portable && n == tokens:
						ref = y
					case tier > cpu.Portable && asm == nil:
						asm = make([]float32, tokens*s.rows)
						cpu.SetTier(tier)
						MulFloat(pool, asm, s.rows, w, x, ldx, tokens)
						cpu.SetTier(former)
						for i := range asm {
							if d := math.Abs(float64(asm[i] - ref[i])); !(d <= 1e-5*math.Sqrt(float64(s.cols))*0.02*128) {
								t.Fatalf("%d bits, %v: %v %v, portable %v", bits, s, tier, asm[i], ref[i])
							}
						}
					}
					if tier > cpu.Portable {
						if i := intDiffer(y, asm[:len(y)]); i >= 0 {
							t.Fatalf("%d bits, %v, %v, %d tokens: value %d is %v, want %v", bits, s, tier, n, i, y[i], asm[i])
						}
					}
				}
			}
		}
	}
}

func TestQuantizeTiers(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	big, nan, inf := float32(math.MaxFloat32), float32(math.NaN()), float32(math.Inf(1))
	r := rand.New(rand.NewPCG(6, 6))
	intTiers(t, func(t *testing.T) {
		var a Activations
		for _, cols := range []int{1, 3, 8, 15, 16, 17, 31, 40, 100, 129, 2048} {
			x := intRandomTokens(r, 20, cols)
			clear(x[cols : 2*cols])
			for k := range cols {
				x[2*cols+k] = 5                                                     // one sign: zero is at the end
				x[3*cols+k] = -5                                                    //
				x[4*cols+k] = big * float32(1-k%2*2)                                // range overflows
				x[5*cols+k] = math.SmallestNonzeroFloat32                           // range vanishes
				x[6*cols+k] = math.SmallestNonzeroFloat32 * float32(k*1000-k%3*999) //
				x[10*cols+k] = float32(k%11) - 5                                    // ties
				x[11*cols+k] = float32(math.Copysign(0, -1))
			}
			x[7*cols+cols/2], x[8*cols+cols-1], x[9*cols] = nan, inf, -inf
			for bits := 2; bits <= 8; bits++ {
				for _, clip := range []float32{1, 0.7, 1e-30} {
					group := 8 * (1 + bits)
					a.Quantize(pool, x, cols, 20, cols, ActGrid{Bits: bits, Clip: clip}, group)
					intCheckQuantized(t, &a, x, clip)
				}
			}
			for tok, want := range map[int]bool{1: false, 7: true, 8: true, 9: true, 5: false} {
				if s := a.Scale[tok]; (s != s) != want {
					t.Errorf("%d columns, token %d: scale %v", cols, tok, s)
				}
			}
		}
	})
}

// TestQuantizeMiddles: values in the middle between two integers of the grid, and
// next to it, and far beyond the grid, round as divisions do.
func TestQuantizeMiddles(t *testing.T) {
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(12, 12))
		for range 300 {
			delta := float32(math.Exp(160*r.Float64() - 80))
			x := make([]float32, 16*17+3)
			for i := range x {
				x[i] = (float32(r.IntN(540)-270) + 0.5) * delta
				switch i % 8 {
				case 1, 2, 3:
					x[i] = math.Nextafter32(x[i], float32(math.Inf(2*(i%2)-1)))
				case 4:
					x[i] *= 1 + float32(r.NormFloat64())*0x1p-12
				case 5:
					x[i] *= float32(math.Exp(100 * r.NormFloat64()))
				}
			}
			z, off := float32(r.IntN(256)), int32(128)
			got, want := make([]int8, len(x)), make([]int8, len(x))
			intQuantize(got, x, delta, z, 255, off)
			intQuantizePortable(want, x, delta, z, 255, off)
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("%g / %g + %v: %d, want %d", x[i], delta, z, got[i], want[i])
				}
			}
		}
	})
}

// intCheckQuantized recomputes every field from the definition.
func intCheckQuantized(t *testing.T, a *Activations, x []float32, clip float32) {
	t.Helper()
	groups, size := intGroups(a.Cols, a.Group)
	for tok := range a.Tokens {
		row := x[tok*a.Cols : (tok+1)*a.Cols]
		lo, hi, bad := float32(0), float32(0), false
		for _, v := range row {
			lo, hi = min(lo, v), max(hi, v)
			bad = bad || math.IsInf(float64(v), 0) || v != v
		}
		top := float32(int(1)<<a.Bits - 1)
		delta := (hi*clip - lo*clip) / top
		bad = bad || math.IsInf(float64(delta), 0)
		off := int32(0)
		if a.Bits == 8 {
			off = 128
		}
		z := int32(0)
		if delta == 0 {
			delta = 1
		} else if !bad {
			z = int32(min(math.RoundToEven(float64(-(lo*clip)/delta)), float64(top)))
		}
		if s := a.Scale[tok]; bad && s == s || !bad && (s != delta || a.Zero[tok] != z-off) {
			t.Fatalf("token %d of %d columns: scale %v, zero %d; want %v, %d", tok, a.Cols, s, a.Zero[tok], delta, z-off)
		}
		sums := make([]int32, groups)
		for k := range a.Stride {
			got, want := int32(a.Q[tok*a.Stride+k]), int32(0)
			if k < a.Cols {
				if !bad {
					want = int32(min(max(math.RoundToEven(float64(row[k]/delta))+float64(z), 0), float64(top))) - off
				}
				sums[k/size] += want
			}
			if got != want {
				t.Fatalf("%d bits, token %d, column %d of %d: %d, want %d", a.Bits, tok, k, a.Cols, got, want)
			}
		}
		if !slices.Equal(sums, a.Sum[tok*groups:(tok+1)*groups]) {
			t.Fatalf("token %d: sums %v, want %v", tok, a.Sum[tok*groups:(tok+1)*groups], sums)
		}
	}
}

func TestQuantizeReusesBuffers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var a Activations
	a.Quantize(nil, intRandomTokens(r, 30, 200), 200, 30, 200, ActGrid{Bits: 8, Clip: 1}, 0)
	x := intRandomTokens(r, 3, 77)
	a.Quantize(nil, x, 77, 3, 77, ActGrid{Bits: 8, Clip: 1}, 16) // shorter: nothing may remain behind
	intCheckQuantized(t, &a, x, 1)
	for i, v := range a.Q[3*a.Stride:] {
		if v != 0 {
			t.Fatalf("padding byte %d is %d", i, v)
		}
	}
	if n := testing.AllocsPerRun(10, func() { a.Quantize(nil, x, 77, 3, 77, ActGrid{Bits: 8, Clip: 1}, 16) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleMul() {
	tiles := make([]byte, TileBytes(4, 2, 8))
	PackTiles(tiles, 4, []int8{1, 2, 3, 4, 5, 6, 7, -8, -1, 0, 0, 0, 0, 0, 0, 7}, 2, 8)
	scale := make([]float32, ScaleLen(2, 8, 0))
	PackScales(scale, []float32{1, 0.5}, 2, 8, 0)
	w, err := NewMatrix(4, 2, 8, 0, tiles, scale, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	var a Activations
	a.Quantize(nil, []float32{0, 1, 2, 3, 4, 5, 6, 255}, 8, 1, 8, ActGrid{Bits: 8, Clip: 1}, 0)
	y := make([]float32, 2)
	Mul(nil, y, 2, w, &a)
	fmt.Println(y)
	// Output: [-1928 892.5]
}
