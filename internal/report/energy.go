package report

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/spectrum"
	"github.com/specquant/specquant/internal/stage"
)

// energyPoints is the number of steps of a cumulative curve.
const energyPoints = 50

// maxEnergyBlocks is the largest number of blocks whose energy is computed: it reads every
// weight several times, and neighbouring blocks are alike.
const maxEnergyBlocks = 6

// EnergyCurves are cumulative distributions of the energy of a model's linear layers: the
// fraction of the energy below each fraction of the frequencies, in energyPoints steps from
// 0 to 1.
type EnergyCurves struct {
	Shuffles int
	Blocks   []int // that were measured
	Axes     [2]AxisCurves
}

// AxisCurves are the curves on one axis.
type AxisCurves struct {
	Axis     spectrum.Axis
	Layers   []LayerCurve
	Mean     []float64 // over the layers
	Control  []float64 // the same with the channels shuffled
	Smoothed []float64 // the same after smoothing
}

// LayerCurve is the curve of one layer.
type LayerCurve struct {
	Name  string
	Share []float64
}

func curve(c spectrum.Curve) []float64 {
	v := make([]float64, energyPoints+1)
	for i := range v {
		v[i] = c.Share(float64(i) / energyPoints)
	}
	return v
}

func addTo(sum *[]float64, v []float64, weight float64) {
	if *sum == nil {
		*sum = make([]float64, len(v))
	}
	for i := range v {
		(*sum)[i] += v[i] * weight
	}
}

// add adds the weights of the looker's current block.
func (e *EnergyCurves) add(k *looker, block int) error {
	if n := k.ck.Config.Layers; n > maxEnergyBlocks {
		// Evenly spaced, including the first and the last.
		want := (len(e.Blocks)*(n-1) + (maxEnergyBlocks-1)/2) / (maxEnergyBlocks - 1)
		if block != want {
			return nil
		}
	}
	e.Blocks = append(e.Blocks, block)
	run := k.Pool.Run
	n := len(k.experts)
	for _, w := range llama.Layers(k.ck.Config.Of(block)) {
		if w.Expert >= 0 && !slices.Contains(energyExperts(n), w.Expert) {
			continue
		}
		d := k.block.Layer(w)
		smoothed := append([]float32(nil), d.W...)
		stage.ScaleColumns(smoothed, k.lambdaOf(w), run)
		for i, axis := range []spectrum.Axis{spectrum.OutputChannel, spectrum.InputChannel} {
			a := &e.Axes[i]
			a.Axis = axis
			c, err := spectrum.Energy(d.W, d.Out, d.In, axis, "dft", run)
			if err != nil {
				return fmt.Errorf("%s: %w", w, err)
			}
			a.Layers = append(a.Layers, LayerCurve{Name: fmt.Sprintf("%d %s", block, w), Share: curve(c)})
			addTo(&a.Mean, curve(c), 1)
			if c, err = spectrum.Energy(smoothed, d.Out, d.In, axis, "dft", run); err != nil {
				return fmt.Errorf("%s, smoothed: %w", w, err)
			}
			addTo(&a.Smoothed, curve(c), 1)
			for seed := range e.Shuffles {
				if c, err = spectrum.ShuffledEnergy(d.W, d.Out, d.In, axis, "dft", uint64(seed)+1, run); err != nil {
					return fmt.Errorf("%s, shuffled: %w", w, err)
				}
				addTo(&a.Control, curve(c), 1/float64(e.Shuffles))
			}
		}
	}
	return nil
}

// maxEnergyExperts is the largest number of a block's experts whose energy is computed.
const maxEnergyExperts = 4

// energyExperts lists them, evenly spaced over n.
func energyExperts(n int) (experts []int) {
	for i := range min(n, maxEnergyExperts) {
		experts = append(experts, i*n/min(n, maxEnergyExperts))
	}
	return experts
}

// finish converts sums to means.
func (e *EnergyCurves) finish() {
	for i := range e.Axes {
		a := &e.Axes[i]
		for _, v := range [][]float64{a.Mean, a.Smoothed, a.Control} {
			for j := range v {
				v[j] /= float64(len(a.Layers))
			}
		}
	}
}
