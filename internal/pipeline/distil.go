package pipeline

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/learn"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/stage"
)

// distil tunes all finished blocks together to lower the divergence of the model's predictions
// from full precision, and writes them again. The reference's activations are those after the
// last block.
func (j *job) distil(ctx context.Context, st *stage.State) error {
	j.event(Event{Block: j.ck.Config.Layers, Stage: "distilling"})
	c, q := &j.ck.Config, j.quantization()
	j.meter.At(stage.PartLearning, learningWork(c, j.Recipe, st.Windows, st.Tokens).after)
	m := &learn.Model{}
	var blocks [][llama.NumLinears]*artefact.Linear
	var transforms []stage.BlockTransforms
	var norms []llama.Norms
	var files []*checkpoint.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for i := range c.Layers {
		f, err := checkpoint.OpenFile(filepath.Join(j.partial, j.shard(i)))
		if err != nil {
			return err
		}
		files = append(files, f)
		src, prefix := shardSource{f}, llama.TensorPrefix(i)
		if err := st.ReadTransforms(src, prefix); err != nil {
			return err
		}
		transforms = append(transforms, st.Transforms)
		st.Block = llama.DenseBlock{} // so that each block has its own memory
		st.Block.Index = i
		if err := st.Block.Norms.Read(c, src, i, 0); err != nil {
			return err
		}
		var layers [llama.NumLinears]*artefact.Linear
		st.Prefix = prefix
		for l := range llama.NumLinears {
			out, in := l.Shape(c)
			if layers[l], err = artefact.ReadLinear(src, prefix+l.String(), out, in, q); err != nil {
				return err
			}
			d := &st.Block.Linears[l]
			d.Out, d.In, d.Bias, d.W = out, in, layers[l].Bias, make([]float32, out*in)
			if layers[l].Whole.Rows > 0 {
				layers[l].Dense(j.Pool, d.W)
			} else {
				layers[l].Residual(d.W, j.Pool.Run)
			}
		}
		block := st.Block
		m.Blocks = append(m.Blocks, st.Learner(&layers, func(l llama.Which) []float32 { return block.Linears[l].W }))
		blocks = append(blocks, layers)
		norms = append(norms, st.Block.Norms)
	}
	var err error
	if m.Norm, err = llama.FinalGain(j.ck); err != nil {
		return err
	}
	head, err := j.ck.Tensor(stage.HeadWeight)
	if err != nil {
		return err
	}
	m.Head = make([]float32, head.Elems())
	if err := head.Float32(m.Head); err != nil {
		return err
	}
	if prepare, err := st.Rotation.Rest(j.Pool, j.ck); err != nil {
		return err
	} else if prepare != nil {
		prepare[stage.HeadWeight](m.Head, c.VocabSize)
		prepare[stage.NormWeight](m.Norm, 1)
	}
	st.Inputs.Close()
	if st.Inputs, err = st.Fill(j.ck, j.set.Windows, j.spill("activations.tmp")); err != nil {
		return err
	}
	st.Tell = func(s string) { j.event(Event{Block: c.Layers, Stage: s}) }
	out, err := learn.TuneModel(ctx, j.Pool, m, st.TuneWindows(), st.TuneOptions("distilling", j.Recipe.Distil))
	if err != nil {
		return fmt.Errorf("distilling: %w", err)
	}
	j.event(Event{Note: stage.Outcome("distilled: divergence in nats a token", out)})
	for i := range blocks {
		b := m.Blocks[i]
		stage.Learned(b, &blocks[i])
		path := j.blockFile(i)
		reports, err := readReports(files[i])
		if err != nil {
			return err
		}
		norms[i].AttnNorm, norms[i].MLPNorm = b.AttnNorm, b.MLPNorm
		if err := j.writeBlock(i, path+distilledSuffix, &llama.DenseBlock{Norms: norms[i]}, blocks[i][:], &transforms[i], reports); err != nil {
			return err
		}
		j.event(Event{Block: c.Layers, Stage: fmt.Sprintf("block %d written", i+1)})
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := checkpoint.WriteFileAtomic(filepath.Join(j.partial, distilFile), nil); err != nil {
		return err
	}
	for _, f := range files { // some systems don't rename over open files
		f.Close()
	}
	files = nil
	_, err = j.installDistilled(ctx)
	return err
}
