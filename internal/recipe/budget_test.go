package recipe

import (
	"testing"

	"github.com/specquant/specquant/internal/spectrum"
)

func TestPerChannel(t *testing.T) {
	const out, in = spectrum.OutputChannel, spectrum.InputChannel
	for _, c := range []struct {
		name       string
		b          Branch
		axis       spectrum.Axis
		rows, cols int
		want       float64
	}{
		{"no limit", Branch{Basis: "dft", Components: 16}, out, 64, 4096, 16},
		{"a fraction", Branch{Basis: "dft", Components: 2.5}, out, 64, 4096, 2.5},
		{"limit not reached", Branch{Basis: "dft", Components: 16, Overhead: 0.25}, out, 64, 4096, 16}, // 32 would do
		{"limit", Branch{Basis: "dft", Components: 16, Overhead: 0.25}, out, 64, 576, 4},
		{"limit on the input axis", Branch{Basis: "dft", Components: 16, Overhead: 0.25}, in, 576, 64, 4},
		{"limit rounded down", Branch{Basis: "dft", Components: 16, Overhead: 0.25}, out, 64, 639, 4},
		{"never below one", Branch{Basis: "dft", Components: 16, Overhead: 0.25}, out, 64, 64, 1},
		{"unless asked for", Branch{Basis: "dft", Components: 0.5, Overhead: 0.25}, out, 64, 64, 0.5},
		{"none", Branch{Basis: "dft", Components: 0, Overhead: 0.25}, out, 64, 64, 0},
		{"all components, even", Branch{Basis: "dft", Components: 1000}, out, 64, 10, 6},
		{"all components, odd", Branch{Basis: "dft", Components: 1000}, out, 64, 11, 6},
		{"a cosine component is one number", Branch{Basis: "dct", Components: 100, Overhead: 0.25}, out, 64, 576, 9},
		{"all cosine components", Branch{Basis: "dct", Components: 1000}, out, 64, 10, 10},
	} {
		if got := c.b.PerChannel(c.axis, c.rows, c.cols); got != c.want {
			t.Errorf("%s: %v components, want %v", c.name, got, c.want)
		}
	}
}
