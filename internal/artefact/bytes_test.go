package artefact

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/quant"
	"pgregory.net/rapid"
)

// TestLinearBytes: a layer takes as many bytes as LinearBytes says, and is decoded the same as a
// whole and a piece at a time.
func TestLinearBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		out, in := rapid.IntRange(1, 200).Draw(t, "out"), rapid.IntRange(1, 100).Draw(t, "in")
		g := quant.Grid{
			Bits:  rapid.IntRange(2, 8).Draw(t, "bits"),
			Group: rapid.SampledFrom([]int{0, 4, 16, 32, 128}).Draw(t, "group"),
			Zero:  rapid.SampledFrom([]quant.ZeroKind{"", quant.ZeroSymmetric, quant.ZeroCentred, quant.ZeroAsymmetric}).Draw(t, "zero"),
		}
		if g.Multiples = rapid.Bool().Draw(t, "multiples"); g.Multiples {
			g = quant.MultipleGrid(min(g.Bits, 7), max(16, g.Group))
		}
		w := randoms(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), out*in)
		steps, err := g.Scales(w, out, in, quant.ClipNone, inSequence)
		if err != nil {
			t.Fatal(err)
		}
		q := make([]int8, out*in)
		g.RTN(q, w, steps, out, in, inSequence)
		l := NewLinear(g, q, steps, out, in, nil, nil, inSequence)
		if got, want := int64(len(l.Tiles)+2*len(l.Scales)+2*len(l.Zeros)+len(l.Multiples)), LinearBytes(g, out, in); got != want {
			t.Errorf("%+v, %d x %d: takes %d bytes, LinearBytes says %d", g, out, in, got, want)
		}
		if back := l.Steps(); g.Multiples && (!slices.Equal(back.Scale, steps.Scale) || !slices.Equal(back.Row, steps.Row) || !slices.Equal(back.Multiple, steps.Multiple)) {
			t.Errorf("%+v, %d x %d: the multiples did not come back", g, out, in)
		}
		whole, pieces := make([]float32, out*in), make([]float32, out*in)
		g.Dequantize(whole, q, l.Steps(), out, in, inSequence)
		l.Residual(pieces, inSequence)
		if !sameBits(whole, pieces) {
			t.Errorf("%+v, %d x %d: the pieces are not the whole", g, out, in)
		}
	})
	h := make([]uint16, 6)
	if l := NewWhole(h, 2, 3, nil); int64(len(l.Whole.Data)) != LinearBytes(quant.Grid{Bits: quant.FullBits}, 2, 3) {
		t.Errorf("16 bits: takes %d bytes, LinearBytes says %d", len(l.Whole.Data), LinearBytes(quant.Grid{Bits: quant.FullBits}, 2, 3))
	}
}
