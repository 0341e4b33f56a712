package pipeline

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/learn"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
	"github.com/specquant/specquant/internal/quant"
)

// blockTurns are the transforms that a block has to itself, stored with it;
// nil: none.
type blockTurns struct {
	inputs [llama.NumInputs]*blockTurn
	keys   *artefact.QK
	qk     *llama.QK // what keys stands for
}

type blockTurn struct {
	factors *learn.Turn // as they are stored; nil where they were read
	linalg.Transform
}

// tensors are those of one input, as they are stored.
func (t *blockTurn) tensors(input string) []checkpoint.TensorSpec {
	f := t.factors
	return artefact.KroneckerTensors(input, f.Left, f.A, f.Right, f.B)
}

// turn is what the runtime does to an input of the loaded block; nil: nothing.
func (w *worker) turn(in llama.Input) linalg.Transform {
	if t := w.turns.inputs[in]; t != nil {
		return t.Transform
	}
	return w.rotation.inputs[in]
}

// readTurns are the transforms of the block whose tensors start with prefix.
func (w *worker) readTurns(src shardSource, prefix string) error {
	w.turns = blockTurns{}
	formats := transforms(w.recipe)
	if formats.Cache == artefact.Balanced {
		q, err := artefact.ReadQK(src, prefix, w.config)
		if err != nil {
			return err
		}
		if err := w.turns.take(q, w.config); err != nil {
			return err
		}
	}
	for in := range llama.NumInputs {
		if formats.Input(in) != artefact.Kronecker {
			continue
		}
		left, right, a, b, err := artefact.ReadKronecker(src, prefix, in, w.config)
		if err != nil {
			return err
		}
		f := &learn.Turn{A: a, B: b, Left: left, Right: right}
		t, err := linalg.NewKronecker(left, a, right, b)
		if err != nil {
			return err
		}
		w.turns.inputs[in] = &blockTurn{f, t}
	}
	return nil
}

// learnWindows are what a block learns on: the activations that the recipe says,
// and what the full-precision model has behind it.
type learnWindows struct {
	tuneWindows
	input *store
}

func (l learnWindows) Window(i int) (input, target []float32, err error) {
	if input, err = l.input.get(i); err != nil {
		return nil, nil, err
	}
	target, err = l.w.goals.get(i)
	return input, target, err
}

// learn lets the loaded block, rotated by now, learn scales, transforms and the
// ends of its weights' grids, and folds them in.
func (w *worker) learn(ctx context.Context) error {
	r, o := w.recipe, w.recipe.Learn
	w.steps = [llama.NumLinears]*quant.Steps{}
	w.stage("full-precision output")
	w.ref.keep(&w.block)
	full := w.ref.block.Block()
	w.transform(full)
	err := w.eachOf(ctx, w.ref.x, func(i int, x []float32) error {
		if err := w.checkStream(x, w.before(), fullModel, i); err != nil {
			return err
		}
		w.ref.runner.Block(full, x, w.tokens, llama.Hooks{})
		if err := w.checkStream(x, w.behind(), fullModel, i); err != nil {
			return err
		}
		return w.goals.set(i, x)
	})
	if err != nil {
		return err
	}
	w.stage("learning")
	windows := learnWindows{tuneWindows{w}, w.x}
	if o.Input == method.InputFull {
		windows.input = w.ref.x
	}
	b := w.learner(&[llama.NumLinears]*artefact.Linear{}, nil)
	rates := learn.Rates{Epochs: o.Epochs, Batch: o.Batch, Rate: o.Rate, ClipRate: o.ClipRate, Seed: r.Calibration.Seed}
	run := learn.OmniQuant
	if o.Method == method.LearnFlatQuant {
		run = learn.FlatQuant
	}
	learned, err := run(ctx, w.pool, b, windows, rates)
	if err != nil {
		return err
	}
	if err := w.foldLearned(b, learned); err != nil {
		return err
	}
	w.stage(fmt.Sprintf("learned: error %.4f → %.4f of what the block adds", learned.First, learned.Last))
	return nil
}

// foldLearned puts what was learned into the loaded block.
func (w *worker) foldLearned(b *learn.Block, e *learn.Equivalent) error {
	for in := range llama.NumInputs {
		lambda := e.Lambda[in]
		if in == llama.OInput {
			lambda = w.spread(in, lambda)
		}
		for _, l := range in.Readers() {
			method.ScaleColumns(w.block.Linears[l].W, lambda, w.pool.Run)
		}
		w.fold(in, lambda)
	}
	for in, turn := range e.Turn { // once v and up have the scales of what they produce
		if turn == nil {
			continue
		}
		forward, inverse, err := turn.Transform(w.pool)
		if err != nil {
			return fmt.Errorf("transform of the input of %s: %w", llama.Input(in), err)
		}
		w.turns.inputs[in] = &blockTurn{turn, forward}
		for _, l := range llama.Input(in).Readers() {
			d := &w.block.Linears[l]
			inverse.Apply(w.pool, d.W, d.Out)
		}
	}
	for l := range llama.NumLinears {
		if b.Layers[l].Bits == quant.FullBits {
			continue
		}
		scale, zero, err := e.Steps(w.pool, l, b.Layers[l])
		if err != nil {
			return err
		}
		w.steps[l] = &quant.Steps{Scale: scale, Zero: zero}
		if zero == nil {
			w.steps[l].Zero = w.grid(l).FixedZero()
		}
	}
	return nil
}
