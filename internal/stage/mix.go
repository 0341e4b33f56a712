package stage

import (
	"fmt"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// Mixed widths: each layer gets its own number of bits, so that the errors of all layers
// together are small at a given average. The job measures, before the blocks are
// quantized, what each width costs each layer ([State.WeightError]); [Mix] shares the bits
// out.

// mixture is a choice of a width for each layer, and what is known of all
// choices.
type mixture struct {
	errors        [][]float64 // [layers][widths]
	widths, sizes []int
	at            []int // the chosen widths' indices
	used, budget  float64
	worth         float64 // gains up to this are rounding
}

// Mix chooses one of the widths, ascending, for each layer, so that the sum of
// errors is small at no more than so many bits a weight on average. errors is
// [layers][widths]; sizes are the layers' weights. A wider grid with a larger
// error than a narrower one is no obstacle.
//
// From the narrowest grids it gives bits where they buy most, then exchanges
// them between pairs of layers while that helps. Ties go to the first layer.
func Mix(errors [][]float64, widths, sizes []int, average float64) ([]int, error) {
	x := &mixture{errors: errors, widths: widths, sizes: sizes, at: make([]int, len(errors))}
	for i, e := range errors {
		x.used += float64(widths[0] * sizes[i])
		x.budget += average * float64(sizes[i])
		x.worth += 1e-12 * e[0]
	}
	x.budget *= 1 + 1e-12
	if x.used > x.budget {
		return nil, fmt.Errorf("weights.average: found %v, expected at least %d, the narrowest of weights.widths", average, widths[0])
	}
	for x.raise() || x.exchange() {
	}
	bits := make([]int, len(x.at))
	for i, k := range x.at {
		bits[i] = widths[k]
	}
	return bits, nil
}

// cost and gain are of moving layer i to the width with index k.
func (x *mixture) cost(i, k int) float64 {
	return float64((x.widths[k] - x.widths[x.at[i]]) * x.sizes[i])
}

func (x *mixture) gain(i, k int) float64 { return x.errors[i][x.at[i]] - x.errors[i][k] }

func (x *mixture) move(i, k int) {
	x.used += x.cost(i, k)
	x.at[i] = k
}

// raise widens the layer that gains most for its bits; false if none does.
func (x *mixture) raise() bool {
	layer, width, most := -1, 0, 0.0
	for i := range x.errors {
		for k := x.at[i] + 1; k < len(x.widths); k++ {
			c, g := x.cost(i, k), x.gain(i, k)
			if g > x.worth && g/c > most && x.used+c <= x.budget {
				layer, width, most = i, k, g/c
			}
		}
	}
	if layer >= 0 {
		x.move(layer, width)
	}
	return layer >= 0
}

// exchange widens one layer and narrows another, those that gain most together;
// false if none do.
func (x *mixture) exchange() bool {
	var up, wide, down, narrow int
	most := x.worth
	for i := range x.errors {
		for k := x.at[i] + 1; k < len(x.widths); k++ {
			c, g := x.cost(i, k), x.gain(i, k)
			if g <= most {
				continue // narrowing another adds to the error, or raise would be at fault
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
	if most == x.worth {
		return false
	}
	x.move(up, wide)
	x.move(down, narrow)
	return true
}

// WeightError is the share of a layer's output that rounding its weights to so
// many bits costs, squared, channels taken to be independent:
// Σ d_i (w − ŵ)²_ji / Σ d_i w²_ji.
func (st *State) WeightError(d *llama.Dense, bits int, square []float64) (float64, error) {
	g := quant.Grid{Bits: bits, Group: st.Recipe.Weights.Group, Zero: st.Recipe.Weights.Zero}
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
