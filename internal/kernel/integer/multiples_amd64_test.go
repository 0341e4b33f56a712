package integer

import (
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// TestUnpackMultiples: in every tier row tiles are unpacked to the same bytes, of which 128 or 0 stands
// for 0.
func TestUnpackMultiples(t *testing.T) {
	shapes := []struct{ cols, group int }{{256, 32}, {512, 16}, {40, 16}, {48, 16}, {576, 128}, {33, 32}, {7, 16}, {2080, 96}, {64, 128}}
	intTiers(t, func(t *testing.T) {
		if cpu.Active() < cpu.AVX2 {
			return
		}
		r := rand.New(rand.NewPCG(53, 1))
		for _, s := range shapes {
			for bits := 2; bits <= 7; bits++ {
				w, _ := intRandomMultiples(t, r, bits, 40, s.cols, s.group)
				for tile := 0; tile < 3; tile += 2 {
					tiles := min(2, 3-tile)
					want := newIntUnpacked(w, tile, intUnpackPair)
					size := shape.RoundUp(s.cols, intPlaneCols) * intLanes
					for _, zero := range []int32{128, 0} {
						u := newIntUnpacked(w, tile, func(u *intUnpacked, w *Matrix, tile, tiles int) {
							intUnpackAdd(u, w, tile, tiles, zero-intOffset(bits))
						})
						for i, v := range u.data[:tiles*u.next] {
							if i%u.next < size && v != want.data[i]-128+byte(zero) {
								t.Fatalf("%v, %d bits, 0 is %d: byte %d is %d, want %d", s, bits, zero, i, v, want.data[i]-128+byte(zero))
							}
						}
						u.free()
					}
					want.free()
				}
			}
		}
	})
}
