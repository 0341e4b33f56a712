package stage

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/learn"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Tuning (AutoRound, Cheng et al., arXiv 2309.05516, and similar methods): the offset added
// to each weight before rounding, the scales, the branch's coefficients and the norms'
// gains are learned by gradient descent through the rounding, so that the quantized block's
// output comes close to the full-precision block's.
//
// Reads the activations before the block in the quantized model and after it in the
// full-precision model. Changes the quantized layers. Holds the weights before they were
// rounded, and a tape (learn.TuneBytes).

// tuneWindows is the data that a block is tuned on: the quantized model's activations
// before the block and the full-precision model's after it.
type tuneWindows struct{ st *State }

func (t tuneWindows) Count() int  { return t.st.Windows }
func (t tuneWindows) Tokens() int { return t.st.Tokens }

func (t tuneWindows) Window(i int) (input, target []float32, err error) {
	if input, err = t.st.Inputs.Get(i); err != nil {
		return nil, nil, err
	}
	target, err = t.st.Reference.Inputs.Get(i)
	return input, target, err
}

// TuneWindows is the data that the loaded block is tuned on.
func (st *State) TuneWindows() learn.Windows { return tuneWindows{st} }

// Learner returns the loaded block with its quantized layers in the form that package learn
// works on. weights are those before rounding. A nil layer is not quantized yet.
func (st *State) Learner(layers *[llama.NumLinears]*artefact.Linear, weights func(l llama.Which) []float32) *learn.Block {
	r, c := st.Recipe, st.Config
	b := &learn.Block{Config: c, Rope: st.Runner.Rope, AttnNorm: st.Block.AttnNorm, MLPNorm: st.Block.MLPNorm,
		QK: st.qk(), Activations: r.Bits.Activations, KV: r.Bits.KV, Clip: float32(r.Activations.Clip), ActGroup: r.ActGrid().Group}
	for in := range llama.NumInputs {
		b.Inputs[in].Transform = st.Transform(in)
		for _, l := range in.Readers() {
			if layers[l] == nil {
				continue
			}
			if br := layers[l].Branch; br != nil {
				s := br.Subspace
				b.Inputs[in] = learn.Input{Transform: st.Transform(in), Basis: s.Floats(), Count: s.Count, Remove: s.Remove}
			}
		}
	}
	for l := range llama.NumLinears {
		q, d := layers[l], &st.Block.Linears[l]
		n := d.Out * d.In
		g := st.grid(l)
		b.Layers[l] = &learn.Layer{Out: d.Out, In: d.In, Bits: g.Bits, Group: g.Group, Zero: g.Zero, W: d.W, Bias: d.Bias}
		if q == nil || q.Whole.Rows > 0 {
			continue
		}
		s := q.Steps()
		for i, v := range s.Scale {
			if v == 0 { // a group of zeros: learning divides by the scale
				s.Scale[i] = quant.ZeroGroupScale
			}
		}
		t := b.Layers[l]
		t.Group, t.Zero, t.W, t.Scale = q.Grid.Group, q.Grid.Zero, weights(l), s.Scale
		if q.Zeros != nil {
			t.Zeros = s.Zero
		}
		t.Levels = make([]int8, n)
		q.Codes(t.Levels, st.Pool.Run)
		if q.Branch != nil {
			t.Coeff = q.Branch.Coefficients()
		}
	}
	return b
}

// TuneOptions converts a recipe's tuning options; seed is the order of the windows.
func TuneOptions(o *recipe.Tune, seed uint64) learn.Options {
	return learn.Options{Epochs: o.Epochs, Batch: o.Batch,
		Rounding: o.Rounding, Scales: o.Scales, Branch: o.Branch, Norms: o.Norms, Seed: seed}
}

// TuneOptions are those of a recipe, with progress messages that begin with what.
func (st *State) TuneOptions(what string, o *recipe.Tune) learn.Options {
	l := TuneOptions(o, st.Recipe.Calibration.Seed)
	l.Tell = func(epoch, done, windows int) {
		st.Tell(fmt.Sprintf("%s: epoch %d of %d, %d of %s", what, epoch, o.Epochs, done, plural.Of(windows, "window")))
	}
	return l
}

// tuneBlock trains the quantized layers of the loaded block towards the full-precision
// block's output, which the reference must hold already, and replaces them by the result.
func (st *State) tuneBlock(ctx context.Context, layers *[llama.NumLinears]*artefact.Linear) (learn.Outcome, error) {
	b := st.Learner(layers, func(l llama.Which) []float32 { return st.unrounded[l] })
	out, err := learn.Tune(ctx, st.Pool, b, tuneWindows{st}, st.TuneOptions("tuning", st.Recipe.Tune))
	if err != nil || out.Epoch == 0 {
		return out, err
	}
	Learned(st.Pool, b, layers)
	for l := range llama.NumLinears {
		if err := st.install(l, layers[l]); err != nil {
			return out, err
		}
	}
	return out, nil
}

// Learned replaces layers by their trained values.
func Learned(p *parallel.Pool, b *learn.Block, layers *[llama.NumLinears]*artefact.Linear) {
	for l := range llama.NumLinears {
		q, t := layers[l], b.Layers[l]
		if q.Whole.Rows > 0 {
			continue
		}
		branch := q.Branch
		if branch != nil {
			float.RoundF16(t.Coeff)
			branch = artefact.NewSubspaceBranch(branch.Subspace, branch.Basis, t.Coeff, t.Out)
		}
		for i, v := range q.Steps().Scale {
			if v == 0 { // a group of zeros keeps its scale
				t.Scale[i] = 0
			}
		}
		steps := quant.Steps{Scale: t.Scale, Zero: q.Grid.FixedZero()}
		if q.Zeros != nil {
			steps.Zero = t.Zeros
		}
		layers[l] = artefact.NewLinear(q.Grid, t.Levels, steps, t.Out, t.In, branch, q.Bias, p.Run)
	}
}

// keepUnrounded copies the weights that are about to be rounded, for tuning.
func (st *State) keepUnrounded(l llama.Which, weights []float32) {
	if st.Recipe.Tune != nil {
		st.unrounded[l] = append(st.unrounded[l][:0], weights...)
	}
}

// Tune tunes the block and reports how far its error fell.
func (st *State) Tune(ctx context.Context) error {
	st.Tell("tuning by gradients")
	out, err := st.tuneBlock(ctx, (*[llama.NumLinears]*artefact.Linear)(st.Quantized))
	if err == nil {
		st.Tell(Outcome("tuned: error, relative to what the block adds,", out))
	}
	return err
}

// Outcome says in a line what training brought. what names the loss.
func Outcome(what string, o learn.Outcome) string {
	if o.Epoch == 0 {
		return fmt.Sprintf("%s %.4f on windows not trained on; no epoch lowered it, left as it was", what, o.Before)
	}
	return fmt.Sprintf("%s %.4f → %.4f on windows not trained on, after epoch %d", what, o.Before, o.After, o.Epoch)
}
