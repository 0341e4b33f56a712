package stage

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/learn"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Learned scales, transforms and clips: OmniQuant (Shao et al., arXiv 2308.13137) and
// FlatQuant (Sun et al., arXiv 2410.09426). Package learn does the gradient descent; this
// file supplies the data that a block learns from and folds the result into the block.
//
// Reads the activations before the block in both models. Changes the weights, the layers
// before them and the steps of the grids; gives the block its own transforms. Holds the
// full-precision block's output for all windows (State.Targets).

// BlockTransforms are the transforms that belong to one block and are stored with it; nil:
// none.
type BlockTransforms struct {
	inputs [llama.NumInputs]*inputTransform
	keys   *artefact.QK
	qk     *llama.QK // keys in the form that package llama applies
}

type inputTransform struct {
	factors *learn.Kronecker // as they are stored; nil if they were read from a file
	linalg.Transform
}

// Tensors returns the block's transforms as they are stored; prefix is that of the block's
// tensor names.
func (t *BlockTransforms) Tensors(prefix string, c *checkpoint.Config) (specs []checkpoint.TensorSpec) {
	if t.keys != nil {
		specs = t.keys.Tensors(prefix, c)
	}
	for in, x := range t.inputs {
		if x == nil {
			continue
		}
		f := x.factors
		name := artefact.InputName(prefix + llama.Input(in).Readers()[0].String())
		specs = append(specs, artefact.KroneckerTensors(name, f.Left, f.A, f.Right, f.B)...)
	}
	return specs
}

// Transform is what the runtime does to an input of the loaded block, or nil.
func (st *State) Transform(in llama.Input) linalg.Transform {
	if t := st.Transforms.inputs[in]; t != nil {
		return t.Transform
	}
	return st.rotation().Inputs[in]
}

// ReadTransforms reads the transforms of the block with this prefix of tensor names.
func (st *State) ReadTransforms(src artefact.Source, prefix string) error {
	st.Transforms = BlockTransforms{}
	formats := Transforms(st.Recipe)
	if formats.Cache == artefact.Balanced {
		q, err := artefact.ReadQK(src, prefix, st.Config)
		if err != nil {
			return err
		}
		if err := st.Transforms.setKeys(q, st.Config); err != nil {
			return err
		}
	}
	for in := range llama.NumInputs {
		if formats.Input(in) != artefact.Kronecker {
			continue
		}
		left, right, a, b, err := artefact.ReadKronecker(src, prefix, in, st.Config)
		if err != nil {
			return err
		}
		f := &learn.Kronecker{A: a, B: b, Left: left, Right: right}
		t, err := linalg.NewKronecker(left, a, right, b)
		if err != nil {
			return err
		}
		st.Transforms.inputs[in] = &inputTransform{f, t}
	}
	return nil
}

// learnWindows is the data that a block learns from: the activations before it that the
// recipe asks for, and the full-precision block's output.
type learnWindows struct {
	tuneWindows
	input *Store
}

func (l learnWindows) Window(i int) (input, target []float32, err error) {
	if input, err = l.input.Get(i); err != nil {
		return nil, nil, err
	}
	target, err = l.st.Targets.Get(i)
	return input, target, err
}

// Learn learns scales, transforms and clips of the loaded block, which must have been
// rotated, and folds them in.
func (st *State) Learn(ctx context.Context) error {
	r, o := st.Recipe, st.Recipe.Learn
	st.learnedSteps = [llama.NumLinears]*quant.Steps{}
	st.Tell("running the full-precision block")
	st.Reference.keep(&st.Block)
	full := st.Reference.Block.Block()
	st.setTransforms(full)
	err := st.eachOf(ctx, st.Reference.Inputs, st.Windows, func(i int, x []float32) error {
		if err := st.checkStream(x, st.before(), fullModel, i); err != nil {
			return err
		}
		st.Reference.runner.Block(full, x, st.Tokens, llama.Hooks{})
		if err := st.checkStream(x, st.after(), fullModel, i); err != nil {
			return err
		}
		return st.Targets.Set(i, x)
	})
	if err != nil {
		return err
	}
	st.Tell("learning transforms")
	windows := learnWindows{tuneWindows{st}, st.Inputs}
	if o.Input == recipe.InputFull {
		windows.input = st.Reference.Inputs
	}
	b := st.Learner(&[llama.NumLinears]*artefact.Linear{}, nil)
	for in := range llama.NumInputs {
		b.Live[in] = st.live(in)
	}
	rates := learn.Rates{Epochs: o.Epochs, Batch: o.Batch, Rate: o.Rate, ClipRate: o.ClipRate, Seed: r.Calibration.Seed}
	run := learn.OmniQuant
	if o.Method == recipe.LearnFlatQuant {
		run = learn.FlatQuant
	}
	learned, err := run(ctx, st.Pool, b, windows, rates)
	if err != nil {
		return err
	}
	if err := st.foldLearned(b, learned); err != nil {
		return err
	}
	st.Tell(fmt.Sprintf("learned: error %.4f → %.4f of what the block adds", learned.First, learned.Last))
	return nil
}

// live is 1 for each channel of an input that is not always zero in the calibration data
// and 0 for the others (for o: of each value channel); nil means all channels are live. The
// statistics are those of the block before it was smoothed and rotated; the layers before a
// run-time transform still produce the same channels.
func (st *State) live(in llama.Input) []float32 {
	if in == llama.OInput && st.Rotation.Heads != nil {
		return nil // after FoldRotation each value channel is a mixture of its head's channels
	}
	top := st.Stats[in].AbsMax
	live := make([]float32, len(top))
	if in == llama.OInput {
		live = make([]float32, st.Config.KVHeads*st.Config.HeadDim)
	}
	channels := llama.ValueChannels(st.Config)
	for i, v := range top {
		if in == llama.OInput {
			i = channels[i]
		}
		if v > 0 {
			live[i] = 1
		}
	}
	return live
}

// foldLearned applies what was learned to the loaded block.
func (st *State) foldLearned(b *learn.Block, e *learn.Equivalent) error {
	for in := range llama.NumInputs {
		lambda := e.Lambda[in]
		if in == llama.OInput {
			lambda = st.spread(in, lambda)
		}
		for _, l := range in.Readers() {
			ScaleColumns(st.Block.Linears[l].W, lambda, st.Pool.Run)
		}
		st.fold(in, lambda)
	}
	for in, factors := range e.Transform { // after v and up have been given the scales of their outputs
		if factors == nil {
			continue
		}
		forward, inverse, err := factors.Transform(st.Pool)
		if err != nil {
			return fmt.Errorf("transform of the input of %s: %w", llama.Input(in), err)
		}
		st.Transforms.inputs[in] = &inputTransform{factors, forward}
		for _, l := range llama.Input(in).Readers() {
			d := &st.Block.Linears[l]
			inverse.Apply(st.Pool, d.W, d.Out)
		}
	}
	for l := range llama.NumLinears {
		if b.Layers[l].Bits == quant.FullBits {
			continue
		}
		scale, zero, err := e.Steps(st.Pool, l, b.Layers[l])
		if err != nil {
			return err
		}
		st.learnedSteps[l] = &quant.Steps{Scale: scale, Zero: zero}
		if zero == nil {
			st.learnedSteps[l].Zero = st.grid(l).FixedZero()
		}
	}
	return nil
}
