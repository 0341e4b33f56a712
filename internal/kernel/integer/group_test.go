package integer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/branch/branchtest"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// groupShapes are shapes, groups of the weights and groups of channels.
var groupShapes = []struct{ rows, cols, group, act int }{
	{1, 17, 0, 16}, {16, 32, 0, 16}, {17, 40, 0, 32}, {33, 100, 0, 32}, {48, 256, 128, 32}, {31, 300, 128, 64}, {64, 520, 64, 128},
	{40, 130, 32, 32}, {100, 260, 32, 128}, {20, 90, 8, 16}, {33, 200, 24, 8}, {15, 96, 24, 48}, {70, 516, 0, 128}, {16, 1030, 4096, 64}, {2, 72, 64, 64}, {48, 640, 256, 128},
	{70, 192, 16, 32}, {48, 256, 16, 16}, {20, 48, 16, 32}, {100, 320, 64, 64},
}

// groupsNest says whether groups of weights and of channels may meet.
func groupsNest(cols, group, act int) bool {
	groups, size := intGroups(cols, group)
	grids, fine := intGroups(cols, act)
	return groups == 1 || grids == 1 || size%fine == 0 || fine%size == 0
}

func TestGroupedMeaning(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 1))
	for i, s := range groupShapes {
		for _, bits := range intWidths {
			const tokens = 3
			w, q := intRandomZeros(t, r, bits, s.rows, s.cols, s.group, false, intZeros((bits+i)%3))
			x := intRandomTokens(r, tokens, s.cols)
			var a Activations
			a.Quantize(nil, x, s.cols, tokens, s.cols, ActGrid{Bits: []int{2, 3, 4, 8}[(bits+i)%4], Clip: 0.9, Group: s.act}, s.group)
			dx := make([]float32, tokens*s.cols)
			a.Dequantize(nil, dx, s.cols)
			y := make([]float32, tokens*s.rows)
			Mul(nil, y, s.rows, w, &a)
			groups, size := intGroups(s.cols, s.group)
			scales := w.scales()
			for tok := range tokens {
				for row := range s.rows {
					var want, mag float64
					for k := range s.cols {
						at, d := (row/16*groups+k/size)*16+row%16, 0.0
						if w.shift != nil {
							d = float64(w.shift[at%len(w.shift)])
						}
						v := float64(scales[at]) * (float64(q[row*s.cols+k]) - d) * float64(dx[tok*s.cols+k])
						want += v
						mag += math.Abs(v) + math.Abs(float64(scales[at])*d*float64(dx[tok*s.cols+k]))
					}
					if got := float64(y[tok*s.rows+row]); !(math.Abs(got-want) <= 2e-6*mag) {
						t.Fatalf("%v, %d bits, token %d, row %d: %g, want %g", s, bits, tok, row, got, want)
					}
				}
			}
		}
	}
}

// TestGroupedTiers compares every tier, token count and thread count with the
// portable definition, bit by bit.
func TestGroupedTiers(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(42, 1))
		for _, bits := range intWidths {
			for n, s := range groupShapes {
				if testing.Short() && (n+bits)%4 != 0 {
					continue
				}
				for i, tokens := range []int{1, 2, 3, 4, 5, 8, 9, 13, 25, 40} {
					w, _ := intRandomZeros(t, r, bits, s.rows, s.cols, s.group, i%5 == 4, intZeros((i+bits)%3))
					x := intRandomTokens(r, tokens, s.cols)
					if i == 7 {
						x[s.cols/2] = float32(math.Inf(1))
					}
					var a Activations
					a.Quantize(pool, x, s.cols, tokens, s.cols, ActGrid{Bits: []int{4, 3, 2, 8}[i%4], Clip: 1, Group: s.act}, s.group)
					if i%5 == 4 || i == 11 { // extremes: no saturation anywhere
						most := 15
						if a.Bits == 8 {
							most = byteGroupTop
						}
						for n := range tokens * s.cols {
							a.Q[n/s.cols*a.Stride+n%s.cols] = int8(most - 2*most*(n/3%2))
						}
						for n := range tokens {
							a.partSums(n)
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
					if i == 7 && want[0] == want[0] {
						t.Fatal("an infinity is gone")
					}
				}
			}
		}
	})
}

// TestGroupedQuantize: a group of channels is what a token of these channels
// alone would be, less its zero point.
func TestGroupedQuantize(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(43, 1))
		var a, one Activations
		for _, cols := range []int{17, 31, 33, 40, 64, 100, 129, 2048} {
			const tokens = 9
			x := intRandomTokens(r, tokens, cols)
			clear(x[cols : 2*cols])
			for k := range cols {
				x[2*cols+k] = 5
				x[3*cols+k] = -5
				x[4*cols+k] = math.MaxFloat32 * float32(1-k%2*2)
				x[5*cols+k] = math.SmallestNonzeroFloat32
				x[6*cols+k] = float32(k%11) - 5
			}
			x[7*cols+cols/2] = float32(math.NaN())
			for _, group := range []int{8, 16, 24, 32, 64, 128} {
				for bits := 2; bits <= actGroupBits; bits++ {
					for _, clip := range []float32{1, 0.7} {
						a.Quantize(pool, x, cols, tokens, cols, ActGrid{bits, clip, group}, 0)
						grids, size := intGroups(cols, group)
						for i := range tokens * grids {
							tok, lo := i/grids, i%grids*size
							n := min(cols, lo+size) - lo
							one.Quantize(nil, x[tok*cols+lo:], n, 1, n, ActGrid{Bits: bits, Clip: clip}, 0)
							if math.Float32bits(a.Scale[i]) != math.Float32bits(one.Scale[0]) || a.Zero[i] != one.Zero[0] {
								t.Fatalf("%d columns, token %d, group %d of %d: scale %v, zero %d; want %v, %d", cols, tok, i%grids, size, a.Scale[i], a.Zero[i], one.Scale[0], one.Zero[0])
							}
							for k := range n {
								want := int32(one.Q[k])
								if a.ActGroup > 0 {
									want -= one.Zero[0]
								}
								if got := int32(a.Q[tok*a.Stride+lo+k]); got != want {
									t.Fatalf("%d columns, token %d, column %d in groups of %d: %d, want %d", cols, tok, lo+k, size, got, want)
								}
							}
						}
						for i, v := range a.Q {
							if v != 0 && (i/a.Stride >= tokens || i%a.Stride >= cols) {
								t.Fatalf("padding byte %d is %d", i, v)
							}
						}
					}
				}
			}
		}
	})
}

// TestWholeGroup: a group of all channels is no group.
func TestWholeGroup(t *testing.T) {
	r := rand.New(rand.NewPCG(44, 1))
	const rows, cols, tokens = 40, 64, 5
	w, _ := intRandomMatrix(t, r, 4, rows, cols, 32, false)
	x := intRandomTokens(r, tokens, cols)
	var y [2][]float32
	for i, group := range []int{0, 64} {
		var a Activations
		a.Quantize(nil, x, cols, tokens, cols, ActGrid{4, 1, group}, 32)
		y[i] = make([]float32, tokens*rows)
		Mul(nil, y[i], rows, w, &a)
	}
	if i := intDiffer(y[0], y[1]); i >= 0 {
		t.Errorf("value %d is %v, want %v", i, y[1][i], y[0][i])
	}
}

func TestGroupsRefused(t *testing.T) {
	x := make([]float32, 256)
	for _, c := range []struct {
		grid  ActGrid
		group int
	}{
		{ActGrid{7, 1, 32}, 0}, {ActGrid{5, 1, 32}, 0}, {ActGrid{4, 1, 12}, 0}, {ActGrid{4, 1, -8}, 0},
		{ActGrid{4, 1, 32}, 24}, {ActGrid{4, 1, 48}, 64},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v with matrices in groups of %d: accepted", c.grid, c.group)
				}
			}()
			new(Activations).Quantize(nil, x, 256, 1, 256, c.grid, c.group)
		}()
	}
}

// TestGroupedProject: with the projection the same bits come out.
func TestGroupedProject(t *testing.T) {
	r := rand.New(rand.NewPCG(45, 1))
	const n, count, tokens = 320, 7, 5
	p := branch.NewProjection(branchtest.Waves(count, n), count, n)
	x, z := intRandomTokens(r, tokens, n), make([]float32, tokens*count)
	var a, b Activations
	grid := ActGrid{4, 1, 32}
	a.Quantize(nil, x, n, tokens, n, grid, 64)
	b.Quantize(nil, x, n, 2, n, ActGrid{Bits: 5, Clip: 1}, 0) // nothing of it may remain
	b.QuantizeProject(nil, x, n, tokens, n, grid, 64, z, count, p, nil)
	if !slices.Equal(a.Q, b.Q) || !slices.Equal(a.parts, b.parts) || intDiffer(a.fsum, b.fsum) >= 0 {
		t.Error("quantized otherwise")
	}
}
