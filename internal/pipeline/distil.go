package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/learn"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/stage"
)

// distilFile says that all blocks have been distilled and written beside the old
// ones: a job that is taken up has only to rename them.
const distilFile = "distilled"

// newSuffix is appended to the name of a distilled block until all are written.
const newSuffix = ".new"

// takeNew puts the distilled blocks in the place of the old ones, if they are all
// there, and reports whether they are. What a killed job has renamed by then is gone
// from under its first name.
func (j *job) takeNew(ctx context.Context) (bool, error) {
	if _, err := os.Lstat(filepath.Join(j.partial, distilFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if whole, err := j.checkNew(); err != nil || !whole {
		return false, err
	}
	for i := range j.ck.Config.Layers {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		path := j.blockFile(i)
		if err := os.Rename(path+newSuffix, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		j.event(Event{Block: j.ck.Config.Layers, Stage: fmt.Sprintf("distilled block %d", i+1)})
	}
	return true, nil
}

// checkNew says whether all distilled blocks, renamed by now or not, are as they were
// written. If not, they are thrown away: distilling is done again from the blocks before
// it, or, where one of those has been replaced by now, everything from the first block.
func (j *job) checkNew() (bool, error) {
	var fault error
	renamed := map[string]bool{}
	for i := range j.ck.Config.Layers {
		path := j.blockFile(i)
		if _, err := os.Lstat(path + newSuffix); errors.Is(err, fs.ErrNotExist) {
			renamed[path] = true
		} else if err != nil {
			return false, err
		} else {
			path += newSuffix
		}
		switch err := checkpoint.CheckFile(path); {
		case err == nil || fault != nil:
		case notAsWritten(err) || errors.Is(err, fs.ErrNotExist):
			fault = err
		default:
			return false, err
		}
	}
	if fault == nil {
		return true, nil
	}
	again := "the blocks are distilled again"
	if len(renamed) > 0 {
		again = "all blocks are made again, since distilled ones have replaced some"
	}
	j.event(Event{Note: fmt.Sprintf("%v; %s", fault, again)})
	for i := range j.ck.Config.Layers { // the mark last: until then a killed job comes here again
		path := j.blockFile(i)
		if len(renamed) > 0 {
			if err := remove(path); err != nil {
				return false, err
			}
		}
		if err := remove(path + newSuffix); err != nil {
			return false, err
		}
	}
	return false, remove(filepath.Join(j.partial, distilFile))
}

// remove removes a file if it is there.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// distil tunes the finished blocks together, from the divergence of what the
// model predicts, and writes them anew. The reference's activations are those
// after the last block.
func (j *job) distil(ctx context.Context, st *stage.State) error {
	j.event(Event{Block: j.ck.Config.Layers, Stage: "distilling"})
	c, q := &j.ck.Config, j.quantization()
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
		st.Block = llama.DenseBlock{} // each block keeps its own memory
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
	first, last, err := learn.TuneModel(ctx, j.Pool, m, st.TuneWindows(), st.TuneOptions(j.Recipe.Distil))
	if err != nil {
		return fmt.Errorf("distilling: %w", err)
	}
	j.event(Event{Block: c.Layers, Stage: fmt.Sprintf("tuned: divergence %.4f → %.4f nats a token", first, last)})
	for i := range blocks {
		b := m.Blocks[i]
		stage.Learned(b, &blocks[i])
		path := j.blockFile(i)
		reports, err := readReports(files[i])
		if err != nil {
			return err
		}
		norms[i].AttnNorm, norms[i].MLPNorm = b.AttnNorm, b.MLPNorm
		if err := j.writeBlock(i, path+newSuffix, &norms[i], &blocks[i], &transforms[i], reports); err != nil {
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
	_, err = j.takeNew(ctx)
	return err
}

// writeBlock writes a block's file.
func (j *job) writeBlock(i int, path string, norms *llama.Norms, quantized *[llama.NumLinears]*artefact.Linear, transforms *stage.BlockTransforms, layers []artefact.Layer) error {
	prefix := llama.TensorPrefix(i)
	var specs []checkpoint.TensorSpec
	for place := range checkpoint.NumNorms {
		if gain := *norms.At(place); gain != nil {
			specs = append(specs, artefact.Floats(prefix+j.ck.Config.NormName(place)+".weight", gain))
		}
	}
	specs = append(specs, transforms.Tensors(prefix, &j.ck.Config)...)
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
	return checkpoint.WriteSealed(path, specs, map[string]string{"format": "pt", layersKey: string(report)})
}
