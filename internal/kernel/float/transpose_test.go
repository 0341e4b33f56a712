package float

import (
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/kerneltest"
)

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(55, 56))
	for range 50 {
		rows, cols := r.IntN(40), r.IntN(40)
		src, dst := kerneltest.RandFloats(r, rows*(cols+3)+1), make([]float32, cols*(rows+2)+1)
		Transpose(dst, rows+2, src, cols+3, rows, cols)
		for i := range rows {
			for j := range cols {
				if dst[j*(rows+2)+i] != src[i*(cols+3)+j] {
					t.Fatalf("%d×%d: element %d, %d", rows, cols, i, j)
				}
			}
		}
	}
}

func TestTransposeBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(57, 58))
	for range 100 {
		rows, cols := r.IntN(40), r.IntN(40)
		src, dst := make([]byte, rows*(cols+3)+1), make([]byte, cols*(rows+2)+1)
		for i := range src {
			src[i] = byte(r.Uint32())
		}
		TransposeBytes(dst, rows+2, src, cols+3, rows, cols)
		for i := range rows {
			for j := range cols {
				if dst[j*(rows+2)+i] != src[i*(cols+3)+j] {
					t.Fatalf("%d×%d: element %d, %d", rows, cols, i, j)
				}
			}
		}
	}
}
