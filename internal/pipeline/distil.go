package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/learn"
	"github.com/specquant/specquant/internal/llama"
)

// distil tunes the finished blocks together, from the divergence of what the
// model predicts, and writes them anew. The reference's activations are those
// behind the last block.
func (j *job) distil(ctx context.Context, w *worker) error {
	j.event(Event{Block: j.ck.Config.Layers, Stage: "distilling"})
	c, q := &j.ck.Config, j.quantization()
	m := &learn.Model{}
	var blocks [][llama.NumLinears]*artefact.Linear
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
		w.block = llama.DenseBlock{} // each block keeps its own memory
		if w.block.AttnNorm, err = vector(src, prefix+"input_layernorm.weight"); err != nil {
			return err
		}
		if w.block.MLPNorm, err = vector(src, prefix+"post_attention_layernorm.weight"); err != nil {
			return err
		}
		var layers [llama.NumLinears]*artefact.Linear
		w.prefix = prefix
		for l := range llama.NumLinears {
			out, in := l.Shape(c)
			if layers[l], err = artefact.ReadLinear(src, prefix+l.String(), out, in, q); err != nil {
				return err
			}
			d := &w.block.Linears[l]
			d.Out, d.In, d.Bias, d.W = out, in, layers[l].Bias, make([]float32, out*in)
			if layers[l].Whole.Rows > 0 {
				layers[l].Dense(j.Pool, d.W)
			} else {
				layers[l].Residual(d.W, j.Pool.Run)
			}
		}
		block := w.block
		m.Blocks = append(m.Blocks, w.learner(&layers, func(l llama.Which) []float32 { return block.Linears[l].W }))
		blocks = append(blocks, layers)
	}
	var err error
	if m.Norm, err = llama.Vector(j.ck, normWeight, c.HiddenSize); err != nil {
		return err
	}
	head, err := j.ck.Tensor(headWeight)
	if err != nil {
		return err
	}
	m.Head = make([]float32, head.Elems())
	if err := head.Float32(m.Head); err != nil {
		return err
	}
	if prepare, err := w.rotation.rest(j.Pool, j.ck); err != nil {
		return err
	} else if prepare != nil {
		prepare[headWeight](m.Head, c.VocabSize)
		prepare[normWeight](m.Norm, 1)
	}
	w.x.close()
	if w.x, err = w.fill(j.ck, j.set, ""); err != nil {
		return err
	}
	first, last, err := learn.TuneModel(ctx, j.Pool, m, tuneWindows{w}, w.options(j.Recipe.Distil))
	if err != nil {
		return fmt.Errorf("distilling: %w", err)
	}
	j.event(Event{Block: c.Layers, Stage: fmt.Sprintf("tuned: divergence %.4f → %.4f nats a token", first, last)})
	for i := range blocks {
		b := m.Blocks[i]
		learned(b, &blocks[i])
		path := filepath.Join(j.partial, j.shard(i))
		var reports []artefact.Layer
		if err := json.Unmarshal([]byte(files[i].Metadata[layersKey]), &reports); err != nil {
			return err
		}
		if err := j.writeBlock(i, path+".new", b.AttnNorm, b.MLPNorm, &blocks[i], reports); err != nil {
			return err
		}
	}
	for i := range blocks {
		path := filepath.Join(j.partial, j.shard(i))
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}

// writeBlock writes a block's file.
func (j *job) writeBlock(i int, path string, attnNorm, mlpNorm []float32, quantized *[llama.NumLinears]*artefact.Linear, layers []artefact.Layer) error {
	prefix := llama.TensorPrefix(i)
	specs := []checkpoint.TensorSpec{
		artefact.Floats(prefix+"input_layernorm.weight", attnNorm),
		artefact.Floats(prefix+"post_attention_layernorm.weight", mlpNorm),
	}
	var written [llama.NumInputs]bool // the first reader may be in 16 bits and have no branch
	for l := range llama.NumLinears {
		if b := quantized[l].Branch; b != nil && b.Subspace != nil && !written[l.Input()] {
			written[l.Input()] = true
			specs = append(specs, b.Subspace.Tensors(artefact.InputName(prefix+l.String()))...)
		}
		specs = append(specs, quantized[l].Tensors(prefix+l.String())...)
	}
	report, err := json.Marshal(layers)
	if err != nil {
		return err
	}
	return checkpoint.WriteFile(path, specs, map[string]string{"format": "pt", layersKey: string(report)})
}
