package float

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
)

// A product with 16-bit panels is that with the rounded matrix, to the bit in every tier.
func TestMatMulPanels(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	for _, c := range [][2]int{{1, 1}, {3, 5}, {64, 64}, {12, 33}, {128, 128}, {257, 40}, {600, 32}} {
		k, n := c[0], c[1]
		m := kerneltest.RandFloats(r, k*n)
		b := NewHalfPanels(m, k, n)
		RoundF16(m)
		kerneltest.SameBits(t, fmt.Sprintf("%d×%d decoded", k, n), b.Decode(), m)
		for rows := range 30 {
			lda := k + 3
			a := kerneltest.RandFloats(r, rows*lda)
			kerneltest.FloatTiers(t, func(t *testing.T) {
				const guard = 7
				want, got := make([]float32, rows*n), make([]float32, rows*b.Padded()+1)
				got[len(got)-1] = guard
				MatMulNN(nil, want, n, a, lda, m, n, rows, n, k, false)
				MatMulPanels(got, a, lda, &b, rows)
				for i := range rows {
					kerneltest.SameBits(t, fmt.Sprintf("%d×%d, row %d of %d", k, n, i, rows), got[i*b.Padded():][:n], want[i*n:][:n])
				}
				if got[len(got)-1] != guard {
					t.Fatal("wrote beyond the result")
				}
				if rows > 0 {
					def := make([]float32, rows*b.Padded())
					matMulPanelsGo(def, a, lda, &b, rows)
					kerneltest.SameBits(t, "definition", got[:len(def)], def)
				}
			})
		}
	}
}

// BenchmarkMatMulPanels multiplies matrices of a head: one key, three queries, tokens.
func BenchmarkMatMulPanels(b *testing.B) {
	for _, rows := range []int{1, 3, 12, 64} {
		const k = 64
		r := rand.New(rand.NewPCG(1, 1))
		m, x, y := kerneltest.RandFloats(r, k*k), kerneltest.RandFloats(r, rows*k), make([]float32, rows*k)
		half := NewHalfPanels(m, k, k)
		for _, tier := range kerneltest.TiersTo(cpu.AVX512) {
			b.Run(fmt.Sprintf("%d rows/%v", rows, tier), func(b *testing.B) {
				defer cpu.SetTier(cpu.SetTier(tier))
				for b.Loop() {
					MatMulPanels(y, x, k, &half, rows)
				}
				kerneltest.ReportFlops(b, 2*k*k*float64(rows))
			})
		}
	}
}
