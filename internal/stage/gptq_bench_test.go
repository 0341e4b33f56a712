package stage

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// BenchmarkGPTQ is the rate of GPTQ in operations, n²/2 multiply-adds a row, and
// beside it that of a product of the same size.
func BenchmarkGPTQ(b *testing.B) {
	for _, n := range []int{1024, 4096} {
		rows := n
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		w, y := randomMatrix(rng, rows*n), make([]float32, rows*n)
		f := &Factor{n: n, l: randomMatrix(rng, n*n)}
		for i := range f.l {
			f.l[i] *= 1e-3
		}
		for i := range n {
			f.l[i*n+i] = 1
		}
		f.h = f.l
		g := quant.Grid{Bits: 4}
		steps := scalesOf(b, g, w, rows, n)
		q := make([]int8, rows*n)
		var inline *parallel.Pool
		for _, c := range []struct {
			name  string
			flops float64
			fn    func()
		}{
			{"product", 2 * float64(rows) * float64(n) * float64(n), func() { float.MatMulNT(inline, y, n, w, n, f.l, n, rows, n, n, false) }},
			{"gptq", float64(rows) * float64(n) * float64(n), func() { f.GPTQ(inline, g, q, w, steps, rows) }},
			{"sweep", 3 * float64(rows) * float64(n) * float64(n), func() {
				f.GPTQ(inline, g, q, w, steps, rows)
				f.Refine(inline, g, q, w, steps, rows, recipe.Solve{Sweeps: 1})
			}},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				for b.Loop() {
					c.fn()
				}
				b.ReportMetric(c.flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
