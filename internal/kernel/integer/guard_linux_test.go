package integer

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// intGuarded returns n zero values that end where readable memory ends.
func intGuarded[T any](t *testing.T, n int) []T {
	t.Helper()
	var v T
	size, page := n*int(unsafe.Sizeof(v)), syscall.Getpagesize()
	body := shape.CeilDiv(size, page) * page
	m, err := syscall.Mmap(-1, 0, body+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(m) })
	if err := syscall.Mprotect(m[body:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&m[body-size])), n)
}

// TestMulIntStaysInside: no kernel reads or writes past its operands, which
// may end with a mapped file. A violation is a fault.
func TestMulIntStaysInside(t *testing.T) {
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 8))
		for _, bits := range intWidths {
			for n, s := range intShapes {
				if testing.Short() && (n+bits)%4 != 0 {
					continue
				}
				for i, tokens := range []int{1, 2, 3, 7, 13, 25} {
					w, _ := intRandomZeros(t, r, bits, s.rows, s.cols, s.group, false, intZeros((i+bits)%3))
					g := *w
					g.Tiles = guardedCopy(t, w.Tiles)
					g.Scale, g.HalfScale = guardedCopy(t, w.Scale), guardedCopy(t, w.HalfScale)
					g.RowSum, g.shift = guardedCopy(t, w.RowSum), guardedCopy(t, w.shift)
					x := intGuarded[float32](t, tokens*s.cols)
					y := intGuarded[float32](t, tokens*s.rows)
					copy(x, intRandomTokens(r, tokens, s.cols))
					var a Activations
					a.reset(tokens, s.cols, ActGrid{Bits: 8}, s.group)
					a.Q, a.shift, a.fsum = intGuarded[int8](t, len(a.Q)), intGuarded[int32](t, len(a.shift)), intGuarded[float32](t, len(a.fsum))
					a.Scale, a.Zero, a.Sum = intGuarded[float32](t, tokens), intGuarded[int32](t, tokens), intGuarded[int32](t, len(a.Sum))
					a.Quantize(nil, x, s.cols, tokens, s.cols, ActGrid{Bits: 8, Clip: 1}, s.group)
					Mul(nil, y, s.rows, &g, &a)
					MulFloat(nil, y, s.rows, &g, x, s.cols, tokens)

					grid := ActGrid{Bits: 4, Clip: 1, Group: []int{16, 32, 128}[i%3]}
					if !groupsNest(s.cols, s.group, grid.Group) || grid.Group >= s.cols {
						continue
					}
					a = Activations{}
					a.reset(tokens, s.cols, grid, s.group)
					a.Q, a.parts, a.fsum = intGuarded[int8](t, len(a.Q)), intGuarded[intActSum](t, len(a.parts)), intGuarded[float32](t, len(a.fsum))
					a.Quantize(nil, x, s.cols, tokens, s.cols, grid, s.group)
					Mul(nil, y, s.rows, &g, &a)
				}
			}
		}
	})
}

// TestLevelsStayInside is TestMulIntStaysInside for indices into a table of levels.
func TestLevelsStayInside(t *testing.T) {
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 9))
		for _, s := range groupShapes {
			w, _ := intRandomLevels(t, r, s.rows, s.cols, s.group)
			g := *w
			g.Tiles, g.Scale, g.HalfScale = guardedCopy(t, w.Tiles), guardedCopy(t, w.Scale), guardedCopy(t, w.HalfScale)
			for _, tokens := range []int{1, 2, 3, 7, 13, 25} {
				x, y := intRandomTokens(r, tokens, s.cols), intGuarded[float32](t, tokens*s.rows)
				for _, group := range []int{0, s.act} {
					var a Activations
					a.Quantize(nil, x, s.cols, tokens, s.cols, ActGrid{Bits: 8, Clip: 1, Group: group}, s.group)
					Mul(nil, y, s.rows, &g, &a)
				}
				MulFloat(nil, y, s.rows, &g, x, s.cols, tokens)
			}
		}
	})
}

// TestMultiplesStayInside is TestMulIntStaysInside for weights with multiples.
func TestMultiplesStayInside(t *testing.T) {
	intTiers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 10))
		for n, s := range multiplesShapes {
			for bits := 2; bits <= 7; bits++ {
				if testing.Short() && (n+bits)%4 != 0 {
					continue
				}
				w, _ := intRandomMultiples(t, r, bits, s.rows, s.cols, s.group)
				g := *w
				g.Tiles, g.HalfScale, g.RowSum = guardedCopy(t, w.Tiles), guardedCopy(t, w.HalfScale), guardedCopy(t, w.RowSum)
				g.multiples = &intMultiples{group: s.group, data: guardedCopy(t, w.multiples.data)}
				for _, tokens := range []int{1, 2, 3, 7, 13, 25} {
					x, y := intRandomTokens(r, tokens, s.cols), intGuarded[float32](t, tokens*s.rows)
					for _, grid := range []ActGrid{{Bits: 8, Clip: 1}, {Bits: 4, Clip: 1, Group: 16}} {
						var a Activations
						a.Quantize(nil, x, s.cols, tokens, s.cols, grid, 0)
						a.Q = guardedCopy(t, a.Q)
						if tokens <= intMultiplesTokens && grid.Group == 0 {
							groups, _ := w.multiplesGroups()
							a.multipleSums[bits] = intGuarded[int32](t, (tokens+intMultiplesTokens)*groups)
						}
						Mul(nil, y, s.rows, &g, &a)
					}
					MulFloat(nil, y, s.rows, &g, x, s.cols, tokens)
				}
			}
		}
	})
}

// guardedCopy is a copy of v in guarded memory; nil if v is nil.
func guardedCopy[T any](t *testing.T, v []T) []T {
	if v == nil {
		return nil
	}
	g := intGuarded[T](t, len(v))
	copy(g, v)
	return g
}
