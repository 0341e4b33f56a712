package learn

import (
	"math"
	"testing"

	"github.com/specquant/specquant/internal/quant"
)

// TestScaleSize: groups of zeros, whose scale is 1, don't raise the rate at which
// the others' scales are learned.
func TestScaleSize(t *testing.T) {
	for _, c := range []struct {
		name string
		l    Layer
		want float64
	}{
		{"symmetric", Layer{Out: 2, In: 3, Group: 2, Bits: 4, Levels: []int8{1, 0, 0, 0, 0, 7}, Scale: []float32{0.3, 1, 1, 0.4}}, math.Sqrt(0.125)},
		{"asymmetric", Layer{Out: 2, In: 2, Bits: 2, Zero: quant.ZeroAsymmetric, Levels: []int8{-2, -2, -1, -2}, Scale: []float32{1, 0.5}, Zeros: []float32{0, 1}}, 0.5},
		{"centred", Layer{Out: 2, In: 1, Bits: 2, Zero: quant.ZeroCentred, Levels: []int8{-2, 1}, Scale: []float32{0.5, 0.5}}, 0.5},
		{"nothing", Layer{Out: 1, In: 2, Bits: 4, Levels: []int8{0, 0}, Scale: []float32{1}}, 0},
	} {
		if got := c.l.scaleSize(); math.Abs(got-c.want) > 1e-7 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
