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

// useLearnedRotations gives the state the rotations R1 and R2 of SpinQuant. It learns
// them unless an earlier run of the job has written them. In both cases they are read from
// the file, so that a resumed job computes with the same values.
func (j *job) useLearnedRotations(ctx context.Context, st *stage.State) error {
	path := filepath.Join(j.partial, rotationsFile)
	if done, err := j.intact(path, "the rotations are learned again"); err != nil {
		return err
	} else if !done {
		if err := j.learnRotations(ctx, st, path); err != nil {
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

// learnRotations loads the whole model, learns the rotations starting from the recipe's
// random Hadamard matrices, and writes them to path.
func (j *job) learnRotations(ctx context.Context, st *stage.State, path string) error {
	j.event(Event{Stage: "learning rotations"})
	m, err := j.loadForRotations(st)
	if err != nil {
		return err
	}
	o := j.Recipe.Rotate.Learn
	first, last, err := learn.SpinQuant(ctx, j.Pool, m, j.set.Windows,
		learn.SpinRates{Steps: o.Steps, Batch: o.Windows, Rate: o.Rate, Seed: j.Recipe.Rotate.Seed})
	if err != nil {
		return err
	}
	var specs []checkpoint.TensorSpec
	add := func(name string, w []float32, n int) {
		s := artefact.Floats(name, w)
		s.Shape = []int{n, n}
		specs = append(specs, s)
	}
	if m.Residual != nil {
		add("residual", m.Residual, j.ck.Config.HiddenSize)
	}
	for i, h := range m.Heads {
		add(fmt.Sprintf("heads.%d", i), h, j.ck.Config.HeadDim)
	}
	if err := checkpoint.WriteSealed(path, specs, nil); err != nil {
		return err
	}
	j.event(Event{Stage: fmt.Sprintf("learned rotations: loss %.4f → %.4f nats a token", first, last)})
	return nil
}

// loadForRotations loads all weights as float32, with the recipe's random rotations from which
// learning starts.
func (j *job) loadForRotations(st *stage.State) (*learn.Spin, error) {
	c, r := &j.ck.Config, j.Recipe
	m := &learn.Spin{Config: c, Rope: st.Runner.Rope, QK: st.Rotation.QK, Inputs: st.Rotation.Inputs,
		Activations: r.Bits.Activations, KV: r.Bits.KV, Clip: float32(r.Activations.Clip), ActGroup: r.ActGrid().Group}
	for in := range llama.NumInputs { // the random signs of o's input are applied to the values, those of the others to the input
		signs := st.Rotation.Signs[in]
		switch {
		case m.Inputs[in] == nil:
		case in == llama.OInput:
			m.Values = signs
		default:
			var err error
			if m.Inputs[in], err = linalg.NewChain(signs, m.Inputs[in]); err != nil {
				return nil, err
			}
		}
	}
	for i := range c.Layers {
		b := &llama.DenseBlock{}
		if err := llama.LoadBlock(j.ck, i, b); err != nil {
			return nil, err
		}
		stage.Level(j.Pool, c, b)
		m.Blocks = append(m.Blocks, b)
	}
	var err error
	if m.Norm, err = llama.FinalGain(j.ck); err != nil {
		return nil, err
	}
	for _, t := range []struct {
		name string
		to   *[]float32
	}{{stage.EmbedWeight, &m.Embed}, {stage.HeadWeight, &m.Head}} {
		tensor, err := j.ck.Tensor(t.name)
		if err != nil {
			return nil, err
		}
		*t.to = make([]float32, tensor.Elems())
		if err := tensor.Float32(*t.to); err != nil {
			return nil, err
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
	return m, nil
}
