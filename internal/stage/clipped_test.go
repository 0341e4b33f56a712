package stage

import (
	"testing"

	"github.com/specquant/specquant/internal/quant"
)

func TestBeyond(t *testing.T) {
	// 4 bits reach from −8 to 7 steps, half a step more is still rounded in.
	w := []float32{
		7, 7.4, 7.6, -8.4, -8.6, 0, 1, 1,
		7, 7.4, 7.6, -8.4, -8.6, 0, 1, 1,
	}
	if got := clippedShare(nil, quant.Grid{Bits: 4}, w, quant.Steps{Scale: []float32{1, 2}}, 2, 8); got != 2.0/16 {
		t.Errorf("%g of the weights, want 2 of 16", got)
	}
	groups := make([]float32, 16)
	groups[8] = 3
	if got := clippedShare(nil, quant.Grid{Bits: 4, Group: 8}, groups, quant.Steps{Scale: []float32{1, 0.1}}, 1, 16); got != 1.0/16 {
		t.Errorf("%g of the weights, want 1 of 16", got)
	}
}
