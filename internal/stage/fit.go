package stage

import (
	"context"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
)

// Fitting (GPTAQ, Li et al., arXiv 2504.02692). The quantized model gives a layer inputs
// x̂ that differ from the full-precision model's x. Before W is rounded it is changed to
// W + E·H⁻¹ with E = Σ (W·x − W·x̂)·x̂ᵀ and H = Σ x̂·x̂ᵀ, which makes its output on x̂ the
// nearest to W·x. With solve.correct: stream, o and down also aim at the residual stream
// of the full-precision model.
//
// Reads both models' activations of all windows. Changes the second moments of the input,
// which become those of x̂ as the runtime rounds it; factor and solve do the rest. Holds
// E of each layer until the layers are solved (fitBytes).

// Reference is the full-precision model that runs beside the quantized one: its own
// activations, and the loaded block before quantization, in the same coordinates (rotated
// and smoothed), so that outputs can be subtracted.
type Reference struct {
	Inputs *Store // the residual stream before the block, in the full-precision model
	Block  llama.DenseBlock
	runner *llama.Runner

	input, stream []float32 // of one window: the layer's input and the residual stream there
}

// keep copies the block before it is quantized.
func (f *Reference) keep(b *llama.DenseBlock) {
	f.Block.Index, f.Block.Norms = b.Index, b.Norms.Clone()
	for l := range b.Linears {
		d := &f.Block.Linears[l]
		d.Out, d.In, d.Bias = b.Linears[l].Out, b.Linears[l].In, slices.Clone(b.Linears[l].Bias)
		d.W = append(d.W[:0], b.Linears[l].W...)
	}
}

// window runs one window of the full-precision model up to the input, and keeps what the
// layers read there and the residual stream.
func (f *Reference) window(st *State, i int, in llama.Input) error {
	x, err := f.Inputs.Get(i)
	if err != nil {
		return err
	}
	f.runner.X = append(f.runner.X[:0], x...)
	b := f.Block.Block()
	st.setTransforms(b)
	f.runner.Block(b, f.runner.X, st.Tokens, llama.Hooks{Tap: func(at llama.Input, x []float32, tokens, width int) bool {
		if at != in {
			return true
		}
		f.input = append(f.input[:0], x[:tokens*width]...)
		return false
	}})
	f.stream = f.runner.X // after what the block has added so far
	if err := st.checkInput(f.input, in, fullModel, i); err != nil {
		return err
	}
	return st.checkStream(f.stream, "before "+in.String(), fullModel, i)
}

// Fit collects both sides of the normal equations for the layers that read an input: the
// Hessian Σ x̂ x̂ᵀ of their input as the integers will see it, and for each layer Σ e x̂ᵀ
// [out × in], where e is the full-precision model's output minus the layer's. The layers
// must have been split already.
func (st *State) Fit(ctx context.Context, in llama.Input) error {
	hessian := st.group.moments
	n := in.Width(st.Config)
	sums := map[llama.Which][]float32{}
	for _, l := range in.Readers() {
		sums[l] = make([]float32, st.group.runs[l].residual.Out*n)
	}
	clear(hessian)
	f := st.Reference
	stream := st.Recipe.Solve.Correct == recipe.CorrectStream && (in == llama.OInput || in == llama.DownInput)
	var y, e []float32
	err := st.eachWindow(ctx, func(i int, x []float32) error {
		if err := f.window(st, i, in); err != nil {
			return err
		}
		var failed error
		st.Runner.Block(st.Runnable(), x, st.Tokens, llama.Hooks{KV: st.CacheHook(), Tap: func(at llama.Input, v []float32, tokens, width int) bool {
			if at != in {
				return true
			}
			if failed = st.checkInput(v[:tokens*n], in, quantizedModel, i); failed != nil {
				return false
			}
			for k, l := range in.Readers() {
				r := st.group.runs[l]
				out := r.residual.Out
				xq, z := r.input(st.Pool, v, tokens)
				if k == 0 {
					float.SyrkLower(st.Pool, hessian, n, xq, n, tokens)
				}
				y, e = shape.Grow(y, tokens*out), shape.Grow(e, tokens*out)
				r.product(st.Pool, y, v, xq, z, tokens)
				full := &f.Block.Linears[l]
				float.MatMulNT(st.Pool, e, out, f.input, n, full.W, n, tokens, out, n, false)
				for i := range e {
					e[i] -= y[i]
				}
				if stream {
					for i := range e {
						e[i] += (f.stream[i] - x[i]) / st.Config.AddedScale()
					}
				}
				float.MatMulTN(st.Pool, sums[l], n, e, out, xq, n, out, n, tokens, true)
			}
			return false
		}})
		return failed
	})
	float.Mirror(st.Pool, hessian, n)
	st.group.missing = sums
	return err
}

// AdvanceReference runs the full-precision model's activations through block i as loaded
// from the checkpoint, which is all that a resumed job has.
func (st *State) AdvanceReference(ctx context.Context, ck *checkpoint.Checkpoint, i int) error {
	f := st.Reference
	if err := st.Rotation.Load(st.Pool, ck, i, &f.Block); err != nil {
		return err
	}
	return st.advance(ctx, f.Inputs, f.runner, f.Block.Block(), llama.Hooks{})
}

// fitBytes is the memory that fitting holds: Σ e x̂ᵀ of all readers of an input and the
// step of one layer; and for one window, a layer's outputs and errors, its input and the
// residual stream in the full-precision model.
func fitBytes(c *checkpoint.Config, tokens, layer, out, in int) int64 {
	_, weights := readers(c)
	return 4*(weights+int64(layer)) + 8*int64(tokens)*int64(out) + 4*int64(tokens)*int64(in+c.HiddenSize)
}
