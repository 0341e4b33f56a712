package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// mix chooses the bits of each layer so that their mean is weights.average, and adds them to
// the job's copy of the recipe (weights.layers). Layers that the recipe names keep their bits.
// The choice minimizes Σ n·e over the layers: n is the number of weights and e the relative
// squared error of rounding to nearest, with E[x²] of each input channel as weights, measured
// in a pass before all other steps (R1 and R2 folded in, not smoothed). Without the factor n,
// small layers get the bits of large ones, and a mixture of mean 4 is worse than 4 bits
// everywhere. spill is the file for activations; "" keeps them in memory.
func (j *job) mix(ctx context.Context, st *stage.State, spill string) error {
	path := filepath.Join(j.partial, mixFile)
	chosen := map[string]int{}
	data, err := input.ReadFile(path, input.MaxSmall)
	if err == nil {
		err = checkpoint.CheckSeal(data)
	}
	switch {
	case err == nil:
		if data, err = checkpoint.Unseal(data); err == nil {
			err = json.Unmarshal(data, &chosen)
		}
		if err != nil {
			return fmt.Errorf("%s: %w; remove %s and start again", path, err, j.partial)
		}
	case errors.Is(err, checkpoint.ErrNoSeal), errors.Is(err, checkpoint.ErrDamaged):
		j.event(Event{Note: fmt.Sprintf("%s: %v; the bits are chosen again", path, err)})
		fallthrough
	case errors.Is(err, fs.ErrNotExist):
		if chosen, err = j.chooseMix(ctx, st, spill); err != nil {
			return err
		}
		if data, err = json.MarshalIndent(chosen, "", "  "); err != nil {
			return err
		}
		if data, err = checkpoint.Seal(data); err != nil {
			return err
		}
		if err := checkpoint.WriteFileAtomic(path, data); err != nil {
			return err
		}
	default:
		return err
	}
	r := *j.Recipe
	r.Weights.Layers = slices.Clone(r.Weights.Layers)
	for i := range j.ck.Config.Layers {
		for _, l := range llama.Layers(j.ck.Config.Of(i)) {
			name := llama.TensorPrefix(i) + l.String()
			if r.Weights.Named(name) {
				continue
			}
			bits := chosen[name]
			if !slices.Contains(r.Weights.MixWidths(), bits) {
				return fmt.Errorf("%s: %s has %s, expected one of %v; remove %s and start again", path, name, plural.Of(bits, "bit"), r.Weights.MixWidths(), j.partial)
			}
			r.Weights.Layers = append(r.Weights.Layers, recipe.LayerBits{Match: name, Bits: bits})
		}
	}
	j.Recipe, st.Recipe = &r, &r
	return nil
}

// chooseMix measures the errors of all layers at all widths and returns the bits of each layer.
func (j *job) chooseMix(ctx context.Context, st *stage.State, spill string) (map[string]int, error) {
	weights := &j.Recipe.Weights
	var err error
	if st.Inputs, err = st.Fill(j.ck, j.set.Windows, spill); err != nil {
		return nil, err
	}
	defer st.Inputs.Close()
	var all mixErrors
	for i := range j.ck.Config.Layers {
		j.event(Event{Stage: fmt.Sprintf("choosing bits, block %d", i)})
		if err := st.Load(j.ck, i); err != nil {
			return nil, err
		}
		st.FoldRotation()
		if err := st.Gather(ctx, -1, nil); err != nil {
			return nil, fmt.Errorf("block %d: %w", i, err)
		}
		if j.ck.Config.Of(i).Experts.Count > 0 {
			if err := st.Route(ctx); err != nil {
				return nil, fmt.Errorf("block %d: %w", i, err)
			}
		}
		if err := all.add(ctx, st, i, llama.Layers(j.ck.Config.Of(i)), weights); err != nil {
			return nil, err
		}
		if i+1 < j.ck.Config.Layers {
			if err := st.AdvanceExact(ctx); err != nil {
				return nil, err
			}
		}
	}
	bits, err := stage.Mix(all.errors, weights.MixWidths(), all.sizes, weights.Average)
	if err != nil {
		return nil, err
	}
	chosen := map[string]int{}
	for i, name := range all.names {
		chosen[name] = bits[i]
	}
	return chosen, nil
}

// mixErrors are the layers whose bits are chosen: their numbers of weights, and the error of
// each at every width.
type mixErrors struct {
	names  []string
	sizes  []int
	errors [][]float64
}

// add measures the layers of the loaded block i, except those that the recipe gives bits by name.
func (m *mixErrors) add(ctx context.Context, st *stage.State, i int, layers []llama.Layer, weights *recipe.Weights) error {
	for _, l := range layers {
		name := llama.TensorPrefix(i) + l.String()
		if l.Expert >= 0 && l.Which == llama.Gate {
			st.Select(l.Expert)
			if err := st.ExpertStatistics(ctx); err != nil {
				return fmt.Errorf("block %d: %w", i, err)
			}
		}
		if weights.Named(name) {
			continue
		}
		d := st.Block.Layer(l)
		square := st.Stats[l.Input()].Act(nil).MeanSquare
		var errs []float64
		for _, bits := range weights.MixWidths() {
			e, err := st.WeightError(d, bits, square)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			errs = append(errs, e*float64(len(d.W)))
		}
		m.names, m.sizes, m.errors = append(m.names, name), append(m.sizes, len(d.W)), append(m.errors, errs)
	}
	return nil
}
