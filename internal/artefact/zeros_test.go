package artefact

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/quant"
)

// TestGrids: a layer of every width and kind of zero point, and with multiples, comes back as it was
// stored, in as many bits as it says, and the kernels compute what its weights
// stand for.
func TestGrids(t *testing.T) {
	const out, in, group = 35, 96, 32
	rng := rand.New(rand.NewPCG(5, 1))
	w, x := randoms(rng, out*in), randoms(rng, in)
	const multiples = quant.ZeroKind("multiples")
	for bits := 2; bits <= 8; bits++ {
		for _, zero := range []quant.ZeroKind{"", quant.ZeroSymmetric, quant.ZeroCentred, quant.ZeroAsymmetric, multiples} {
			if zero == multiples && !slices.Contains(quant.MultipleBits, bits) {
				continue
			}
			t.Run(fmt.Sprint(bits, zero), func(t *testing.T) {
				format := &Quantization{Bits: quant.Bits{Weights: bits}, Group: group, Zero: zero}
				if zero == multiples {
					format.Zero, format.Scales = "", quant.ScalesMultiples
				}
				g := format.Grid(bits)
				steps, err := g.Scales(w, out, in, quant.ClipMSE, inSequence)
				if err != nil {
					t.Fatal(err)
				}
				q, want := make([]int8, len(w)), make([]float32, len(w))
				g.RTN(q, w, steps, out, in, inSequence)
				g.Dequantize(want, q, steps, out, in, inSequence)
				specs := NewLinear(g, q, steps, out, in, nil, nil, inSequence).Tensors(layerName)
				l, err := ReadLinear(inMemory(specs), layerName, out, in, format)
				if err != nil {
					t.Fatal(err)
				}
				back := make([]float32, len(w))
				l.Residual(back, inSequence)
				if !slices.Equal(back, want) {
					t.Fatal("the weights did not come back")
				}
				var size int
				for _, s := range specs {
					size += len(s.Data)
				}
				if got, want := l.StoredBits(), float64(8*size)/out/in; got != want {
					t.Errorf("%v bits a weight, the tensors have %v", got, want)
				}
				m, err := l.Matrix()
				if err != nil {
					t.Fatal(err)
				}
				y := make([]float32, out)
				integer.MulFloat(nil, y, out, m, x, in, 1)
				for r := range y {
					var sum, size float64
					for k, v := range x {
						p := float64(v) * float64(want[r*in+k])
						sum, size = sum+p, size+math.Abs(p)
					}
					if e := math.Abs(float64(y[r]) - sum); e > 1e-4*size {
						t.Fatalf("row %d: %v, want %v", r, y[r], sum)
					}
				}
				if zero != quant.ZeroAsymmetric {
					return
				}
				cut := slices.Clone(specs)
				for i := range cut {
					if cut[i].Name == layerName+".zeros" {
						cut[i].Shape, cut[i].Data = []int{3}, cut[i].Data[:6]
					}
				}
				_, err = ReadLinear(inMemory(cut), layerName, out, in, format)
				wantError(t, "zeros cut", err, ".zeros", "3 values", "expected 144")
				gone := slices.DeleteFunc(slices.Clone(specs), func(s checkpoint.TensorSpec) bool { return s.Name == layerName+".zeros" })
				if _, err = ReadLinear(inMemory(gone), layerName, out, in, format); err == nil {
					t.Error("read without its zero points")
				}
			})
		}
	}
}
