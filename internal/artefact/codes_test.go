package artefact

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
)

// TestCodesInPieces: several threads pack a layer to the bytes that one makes of the whole,
// and unpack it to the same integers.
func TestCodesInPieces(t *testing.T) {
	pool := parallel.NewPool(3)
	defer pool.Close()
	rng := rand.New(rand.NewPCG(3, 5))
	for bits := 2; bits <= 8; bits++ {
		for _, shape := range [][2]int{{1, 7}, {pieceRows, 32}, {pieceRows + 1, 33}, {5*pieceRows - 9, 100}} {
			t.Run(fmt.Sprintf("%d bits, %d × %d", bits, shape[0], shape[1]), func(t *testing.T) {
				out, in := shape[0], shape[1]
				q, scales := make([]int8, out*in), make([]float32, out)
				for i := range q {
					q[i] = int8(rng.IntN(1<<bits) - 1<<(bits-1))
				}
				l := NewLinear(quant.Grid{Bits: bits}, q, quant.Steps{Scale: scales}, out, in, nil, nil, pool.Run)
				whole := make([]byte, integer.TileBytes(bits, out, in))
				integer.PackTiles(whole, bits, q, out, in)
				if !bytes.Equal(l.Tiles, whole) {
					t.Error("other bytes than packed at once")
				}
				back := make([]int8, len(q))
				l.Codes(back, pool.Run)
				if !slices.Equal(back, q) {
					t.Error("other integers than were packed")
				}
			})
		}
	}
}
