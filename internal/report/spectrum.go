package report

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
	"github.com/specquant/specquant/internal/stage"
	"github.com/specquant/specquant/internal/tokenizer"
)

// LowBand is the fraction of the spectrum that, according to the paper, has 92.3 % of the
// energy.
const LowBand = 0.2

// SpectrumOptions are the options of [Spectrum].
type SpectrumOptions struct {
	Pool        *parallel.Pool
	Alpha       recipe.Alpha // smoothing to apply; recipe.Off: only unsmoothed weights
	Calibration []string     // text files for the smoothing; none: the embedded text
	Windows     int          // largest number of calibration windows
	Seeds       int          // number of shuffles for the control
	Progress    func(block, blocks int)
}

// Energy is the fraction of a layer's energy in the lowest [LowBand] of the spectrum, and
// the same after shuffling the channels.
type Energy struct {
	Share   float64 `json:"share"`
	Control float64 `json:"shuffled"`       // mean over the shuffles
	Least   float64 `json:"shuffled_least"` // of the shuffles
	Most    float64 `json:"shuffled_most"`
}

// SpectrumRow is one linear layer on one axis, before and after smoothing.
type SpectrumRow struct {
	Layer  string        `json:"layer"`
	Axis   spectrum.Axis `json:"axis"`
	Before Energy        `json:"as_it_is"`
	After  *Energy       `json:"smoothed,omitempty"` // nil: no smoothing was requested
}

// Spectrum measures how the energy of every linear layer is distributed, block by block, in
// the Fourier basis.
func Spectrum(ctx context.Context, dir string, o SpectrumOptions) ([]SpectrumRow, error) {
	ck, err := checkpoint.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	if err := ck.Check(); err != nil {
		return nil, err
	}
	if _, err := ck.Scan(); err != nil {
		return nil, err
	}
	st, set, err := spectrumState(ctx, ck, dir, o)
	if err != nil {
		return nil, err
	}
	if set != nil {
		if st.Inputs, err = st.Fill(ck, set.Windows, ""); err != nil {
			return nil, err
		}
		defer st.Inputs.Close()
		defer st.CloseExperts()
	}
	var rows []SpectrumRow
	for i := range ck.Config.Layers {
		if err := st.Load(ck, i); err != nil {
			return nil, err
		}
		first, layers := len(rows), llama.Layers(ck.Config.Of(i))
		for _, l := range layers {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			for _, axis := range []spectrum.Axis{spectrum.OutputChannel, spectrum.InputChannel} {
				e, err := layerEnergy(st.Block.Layer(l), axis, o)
				if err != nil {
					return nil, fmt.Errorf("block %d, %s: %w", i, l, err)
				}
				rows = append(rows, SpectrumRow{Layer: llama.TensorPrefix(i) + l.String(), Axis: axis, Before: e})
			}
		}
		if o.Alpha != recipe.Off {
			if err := smoothBlock(ctx, st, i+1 == ck.Config.Layers); err != nil {
				return nil, fmt.Errorf("block %d: %w", i, err)
			}
			for k := range rows[first:] {
				r := &rows[first+k]
				e, err := layerEnergy(st.Block.Layer(layers[k/2]), r.Axis, o)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", r.Layer, err)
				}
				r.After = &e
			}
		}
		if o.Progress != nil {
			o.Progress(i+1, ck.Config.Layers)
		}
	}
	return rows, nil
}

// smoothBlock smooths the loaded block and moves the calibration windows past it.
func smoothBlock(ctx context.Context, st *stage.State, last bool) error {
	if err := st.Gather(ctx, -1, nil); err != nil {
		return err
	}
	if n := len(st.Block.Experts); n > 0 {
		if err := st.Route(ctx); err != nil {
			return err
		}
		for e := range n {
			st.Select(e)
			if err := st.SmoothExpert(ctx); err != nil {
				return fmt.Errorf("expert %d: %w", e, err)
			}
		}
	}
	if !last { // smoothing does not change the block's function
		if err := st.AdvanceExact(ctx); err != nil {
			return err
		}
	}
	return st.Smooth(ctx)
}

// spectrumState makes a state that smooths each input with the requested strength, and the
// calibration windows; nil if no smoothing is requested.
func spectrumState(ctx context.Context, ck *checkpoint.Checkpoint, dir string, o SpectrumOptions) (*stage.State, *calibration.Set, error) {
	r := &recipe.Recipe{Smooth: &recipe.Smooth{Alpha: recipe.AlphaGrid{o.Alpha}}}
	if o.Alpha == recipe.Off {
		st, err := stage.New(&ck.Config, r, o.Pool, 0, 0)
		return st, nil, err
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, nil, err
	}
	texts, err := calibration.ReadFiles(ctx, o.Calibration)
	if err != nil {
		return nil, nil, err
	}
	set, err := calibration.NewSet(tok, texts, o.Windows, min(512, ck.Config.MaxPositions), 0)
	if err != nil {
		return nil, nil, err
	}
	st, err := stage.New(&ck.Config, r, o.Pool, len(set.Windows), set.Tokens)
	return st, set, err
}

func layerEnergy(d *llama.Dense, axis spectrum.Axis, o SpectrumOptions) (Energy, error) {
	c, err := spectrum.Energy(d.W, d.Out, d.In, axis, "dft", o.Pool.Run)
	if err != nil {
		return Energy{}, err
	}
	e := Energy{Share: c.Share(LowBand), Least: 1}
	for seed := range o.Seeds {
		c, err := spectrum.ShuffledEnergy(d.W, d.Out, d.In, axis, "dft", uint64(seed)+1, o.Pool.Run)
		if err != nil {
			return Energy{}, err
		}
		s := c.Share(LowBand)
		e.Control += s / float64(o.Seeds)
		e.Least, e.Most = min(e.Least, s), max(e.Most, s)
	}
	return e, nil
}
