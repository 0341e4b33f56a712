package stage

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/llama"
)

// Decode fills the block with the weights that its finished, quantized form decodes to:
// what calibration uses for a block that an earlier run has quantized. Call [State.Begin]
// first.
func (st *State) Decode(src artefact.Source, q *artefact.Quantization) error {
	if err := st.Block.Norms.Read(st.Config, src, st.Block.Index, 0); err != nil {
		return err
	}
	if err := st.ReadTransforms(src, st.Prefix); err != nil {
		return err
	}
	if err := st.Block.ReadRouter(st.Config, src); err != nil {
		return err
	}
	for _, l := range llama.Layers(st.Config) {
		out, in := l.Shape(st.Config)
		linear, err := artefact.ReadLinear(src, st.Prefix+l.String(), out, in, q)
		if err != nil {
			return err
		}
		// The source may be a mapped file that is closed before calibration runs.
		linear.Tiles, linear.Multiples = slices.Clone(linear.Tiles), slices.Clone(linear.Multiples)
		d := st.Block.Layer(l)
		d.Out, d.In, d.Bias = out, in, linear.Bias
		if cap(d.W) < out*in {
			d.W = make([]float32, out*in)
		}
		d.W = d.W[:out*in]
		if err := st.installAt(l, linear); err != nil {
			return fmt.Errorf("%s%s: %w", st.Prefix, l, err)
		}
	}
	st.Select(0)
	st.rotated = true
	return nil
}
