package pipeline

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/learn"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/stage"
)

// spin learns the rotations, or reads what an earlier run has learned. What is used
// is what the file says, in both cases.
func (j *job) spin(ctx context.Context, st *stage.State) error {
	path := filepath.Join(j.partial, spinFile)
	if done, err := j.intact(path, "the rotations are learned again"); err != nil {
		return err
	} else if !done {
		if err := j.learnSpin(ctx, st, path); err != nil {
			return fmt.Errorf("rotate.learn: %w", err)
		}
	}
	f, err := checkpoint.OpenFile(path)
	if err != nil {
		return fmt.Errorf("%w; remove %s and start again", err, j.partial)
	}
	defer f.Close()
	src, c, s := shardSource{f}, &j.ck.Config, &stage.LearnedRotations{}
	square := func(name string, n int) (linalg.Transform, error) {
		v, err := vector(src, name)
		if err != nil {
			return nil, err
		}
		t, err := linalg.NewDense(v, n)
		if err != nil {
			return nil, fmt.Errorf("%s: tensor %s: %w; remove %s and start again", path, name, err, j.partial)
		}
		return t, nil
	}
	if st.Rotation.Residual != nil {
		if s.Residual, err = square("residual", c.HiddenSize); err != nil {
			return err
		}
	}
	if st.Rotation.Heads != nil {
		for i := range c.Layers {
			t, err := square(fmt.Sprintf("heads.%d", i), c.HeadDim)
			if err != nil {
				return err
			}
			s.Heads = append(s.Heads, t)
		}
	}
	j.rotations = s
	st.Rotation.Take(s)
	return nil
}

// learnSpin loads the whole model, learns from where the recipe's random Hadamard
// matrices stand, and writes what came of it.
func (j *job) learnSpin(ctx context.Context, st *stage.State, path string) error {
	j.event(Event{Stage: "learning rotations"})
	c, r, o := &j.ck.Config, j.Recipe, j.Recipe.Rotate.Learn
	m := &learn.Spin{Config: c, Rope: st.Runner.Rope, QK: st.Rotation.QK, Inputs: st.Rotation.Inputs,
		Activations: r.Bits.Activations, KV: r.Bits.KV, Clip: float32(r.Activations.Clip), ActGroup: r.ActGrid().Group}
	for in := range llama.NumInputs { // signs meet the values themselves, and the others' inputs
		signs := st.Rotation.Signs[in]
		switch {
		case m.Inputs[in] == nil:
		case in == llama.OInput:
			m.Values = signs
		default:
			var err error
			if m.Inputs[in], err = linalg.NewChain(signs, m.Inputs[in]); err != nil {
				return err
			}
		}
	}
	for i := range c.Layers {
		b := &llama.DenseBlock{}
		if err := llama.LoadBlock(j.ck, i, b); err != nil {
			return err
		}
		stage.Level(j.Pool, c, b)
		m.Blocks = append(m.Blocks, b)
	}
	var err error
	if m.Norm, err = llama.FinalGain(j.ck); err != nil {
		return err
	}
	for _, t := range []struct {
		name string
		to   *[]float32
	}{{stage.EmbedWeight, &m.Embed}, {stage.HeadWeight, &m.Head}} {
		tensor, err := j.ck.Tensor(t.name)
		if err != nil {
			return err
		}
		*t.to = make([]float32, tensor.Elems())
		if err := tensor.Float32(*t.to); err != nil {
			return err
		}
	}
	if st.Rotation.Residual != nil {
		m.Residual = linalg.Matrix(j.Pool, st.Rotation.Residual)
	}
	if st.Rotation.Heads != nil {
		for range c.Layers {
			m.Heads = append(m.Heads, linalg.Matrix(j.Pool, st.Rotation.Heads))
		}
	}
	first, last, err := learn.SpinQuant(ctx, j.Pool, m, j.set.Windows,
		learn.SpinRates{Steps: o.Steps, Batch: o.Windows, Rate: o.Rate, Seed: r.Rotate.Seed})
	if err != nil {
		return err
	}
	var specs []checkpoint.TensorSpec
	if m.Residual != nil {
		s := artefact.Floats("residual", m.Residual)
		s.Shape = []int{c.HiddenSize, c.HiddenSize}
		specs = append(specs, s)
	}
	for i, h := range m.Heads {
		s := artefact.Floats(fmt.Sprintf("heads.%d", i), h)
		s.Shape = []int{c.HeadDim, c.HeadDim}
		specs = append(specs, s)
	}
	if err := checkpoint.WriteSealed(path, specs, nil); err != nil {
		return err
	}
	j.event(Event{Stage: fmt.Sprintf("learned rotations: loss %.4f → %.4f nats a token", first, last)})
	return nil
}
