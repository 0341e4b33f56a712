package stage

import (
	"context"
	"fmt"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Plain rounding needs nothing but one row at a time, so it is done in parts: a layer's weights
// stay in the checkpoint's file, and no layer is ever whole in float32.

// RoundsOnly reports whether a recipe without calibration windows does nothing but round the
// weights to nearest, so that [State.Round] can do all of it.
func RoundsOnly(r *recipe.Recipe, windows int) bool {
	return windows == 0 && r.Rotate == nil && r.Branch == nil && r.Smooth == nil && r.Learn == nil
}

// partBytes is how many bytes of float32 weights are rounded at a time.
const partBytes = 8 << 20

// Round reads block i of a checkpoint and rounds its layers to nearest. The block's weights
// are not loaded.
func (st *State) Round(ctx context.Context, ck *checkpoint.Checkpoint, i int) error {
	st.Begin(i)
	if err := st.Block.ReadSmall(ck, i); err != nil {
		return err
	}
	all := llama.Layers(st.Config)
	layers := make([]*filed, len(all))
	for k, l := range all {
		t, err := ck.Tensor(st.Prefix + l.String() + ".weight")
		if err != nil {
			return err
		}
		layers[k] = &filed{dense: st.Block.Layer(l), tensor: t, part: st.weights}
	}
	levelBlock(st.Pool, st.Config, &st.Block, func(l llama.Layer) leveled { return layers[l.Index()] })
	for k, l := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if k == 0 || l.Input() != all[k-1].Input() {
			st.Tell(quantizing(l.Input()))
		}
		if err := st.roundLayer(l, layers[k]); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
	}
	return nil
}

// roundLayer rounds one layer.
func (st *State) roundLayer(l llama.Layer, f *filed) (err error) {
	start, report, d := time.Now(), &st.Reports[l.Index()], f.dense
	g := st.Recipe.Weights.Grid(st.Recipe.LayerBits(st.Prefix + l.String()))
	if g.Bits == quant.FullBits {
		st.Quantized[l.Index()], err = f.whole(st.Pool)
		report.BitsPerWeight = quant.FullBits
		return err
	}
	st.at(PartScales, 0)
	q, steps, clipped := st.q[:d.Out*d.In], quant.Steps{Zero: g.FixedZero()}, 0
	err = f.parts(st.Pool, func(first, rows int, w []float32) error {
		own, err := g.WeightedScales(w, nil, rows, d.In, st.Recipe.Weights.Clip, st.Pool.Run)
		if err != nil {
			return fmt.Errorf("counted from row %d on: %w", first, err)
		}
		g.RTN(q[first*d.In:][:rows*d.In], w, own, rows, d.In, st.Pool.Run)
		clipped += clippedCount(st.Pool, g, w, own, rows, d.In)
		steps.Scale = append(steps.Scale, own.Scale...)
		steps.Row, steps.Multiple = append(steps.Row, own.Row...), append(steps.Multiple, own.Multiple...)
		if g.Zero == quant.ZeroAsymmetric {
			steps.Zero = append(steps.Zero, own.Zero...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	st.at(PartPack, 0)
	linear := artefact.NewLinear(g, q, steps, d.Out, d.In, nil, d.Bias, st.Pool.Run)
	st.Quantized[l.Index()] = linear
	report.Clipped, report.BitsPerWeight, report.Seconds = float64(clipped)/float64(d.Out)/float64(d.In), linear.StoredBits(), time.Since(start).Seconds()
	return nil
}
