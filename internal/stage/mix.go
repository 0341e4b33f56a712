package stage

import (
	"fmt"

	"github.com/specquant/specquant/internal/llama"
)

// Mixed widths: each layer gets its own number of bits, so that the total error of all
// layers is small at a given average. Before the blocks are quantized, the job measures the
// error of each layer at each width ([State.WeightError]); [Mix] then distributes the bits.

// mixture is a choice of one width for each layer, with the errors of all choices.
type mixture struct {
	errors        [][]float64 // [layers][widths]
	widths, sizes []int
	at            []int // index of the chosen width of each layer
	used, budget  float64
	minGain       float64 // smaller gains are treated as rounding errors
}

// Mix chooses one of the widths, which are ascending, for each layer, so that the sum of
// errors is small with at most `average` bits per weight. errors is [layers][widths]; sizes
// are the numbers of weights. A wider grid may have a larger error than a narrower one.
//
// It starts from the narrowest width everywhere, spends bits where they reduce the error
// most, then exchanges bits between pairs of layers while that reduces it further. Ties go
// to the first layer.
func Mix(errors [][]float64, widths, sizes []int, average float64) ([]int, error) {
	x := &mixture{errors: errors, widths: widths, sizes: sizes, at: make([]int, len(errors))}
	for i, e := range errors {
		x.used += float64(widths[0] * sizes[i])
		x.budget += average * float64(sizes[i])
		x.minGain += 1e-12 * e[0]
	}
	x.budget *= 1 + 1e-12
	if x.used > x.budget {
		return nil, fmt.Errorf("weights.average: found %v bits, expected at least %d, the narrowest of weights.widths", average, widths[0])
	}
	for x.raise() || x.exchange() {
	}
	bits := make([]int, len(x.at))
	for i, k := range x.at {
		bits[i] = widths[k]
	}
	return bits, nil
}

// cost and gain are the added bits and the saved error if layer i gets the width with index
// k.
func (x *mixture) cost(i, k int) float64 {
	return float64((x.widths[k] - x.widths[x.at[i]]) * x.sizes[i])
}

func (x *mixture) gain(i, k int) float64 { return x.errors[i][x.at[i]] - x.errors[i][k] }

func (x *mixture) move(i, k int) {
	x.used += x.cost(i, k)
	x.at[i] = k
}

// raise widens the layer with the largest gain per bit, and reports whether it found one.
func (x *mixture) raise() bool {
	layer, width, most := -1, 0, 0.0
	for i := range x.errors {
		for k := x.at[i] + 1; k < len(x.widths); k++ {
			c, g := x.cost(i, k), x.gain(i, k)
			if g > x.minGain && g/c > most && x.used+c <= x.budget {
				layer, width, most = i, k, g/c
			}
		}
	}
	if layer >= 0 {
		x.move(layer, width)
	}
	return layer >= 0
}

// exchange widens one layer and narrows another, choosing the pair with the largest gain;
// it reports whether it found one.
func (x *mixture) exchange() bool {
	var up, wide, down, narrow int
	most := x.minGain
	for i := range x.errors {
		for k := x.at[i] + 1; k < len(x.widths); k++ {
			c, g := x.cost(i, k), x.gain(i, k)
			if g <= most {
				continue // narrowing a layer must add error: if it did not, raise would have a better choice
			}
			for j := range x.errors {
				for m := 0; j != i && m < x.at[j]; m++ {
					if both := g + x.gain(j, m); both > most && x.used+c+x.cost(j, m) <= x.budget {
						up, wide, down, narrow, most = i, k, j, m, both
					}
				}
			}
		}
	}
	if most == x.minGain {
		return false
	}
	x.move(up, wide)
	x.move(down, narrow)
	return true
}

// WeightError is the relative squared output error of a layer if its weights are rounded to
// this many bits, treating channels as independent: Σ d_i (w − ŵ)²_ji / Σ d_i w²_ji, with d
// the mean squares of the input channels (square).
func (st *State) WeightError(d *llama.Dense, bits int, square []float64) (float64, error) {
	g := st.Recipe.Weights.Grid(bits)
	rounded := st.weights[:len(d.W)]
	copy(rounded, d.W)
	if err := st.round(g, rounded, d.Out, d.In); err != nil {
		return 0, err
	}
	diff, norm := make([]float64, d.Out), make([]float64, d.Out)
	st.Pool.Run(d.Out, func(r int) {
		for i, v := range d.W[r*d.In:][:d.In] {
			e := float64(v) - float64(rounded[r*d.In+i])
			diff[r] += square[i] * e * e
			norm[r] += square[i] * float64(v) * float64(v)
		}
	})
	var e, all float64
	for r := range diff {
		e += diff[r]
		all += norm[r]
	}
	if all == 0 {
		return 0, nil
	}
	return e / all, nil
}
