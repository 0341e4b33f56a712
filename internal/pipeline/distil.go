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
	c := &j.ck.Config
	j.event(Event{Block: c.Layers, Stage: "distilling"})
	j.meter.At(stage.PartLearning, learningWork(c, j.Recipe, st.Windows, st.Tokens).after)
	m := &learn.Model{}
	var blocks []openBlock
	defer func() {
		for _, b := range blocks {
			b.file.Close()
		}
	}()
	for i := range c.Layers {
		b, learner, err := j.openFinished(st, i)
		if b.file != nil {
			blocks = append(blocks, b)
		}
		if err != nil {
			return err
		}
		m.Blocks = append(m.Blocks, learner)
	}
	if err := j.readOutput(st, m); err != nil {
		return err
	}
	st.Inputs.Close()
	var err error
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
		if err := j.writeDistilled(&blocks[i], i, m.Blocks[i]); err != nil {
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
	for _, b := range blocks { // some systems don't rename over open files
		b.file.Close()
	}
	blocks = nil
	_, err = j.installDistilled(ctx)
	return err
}

// openBlock is a quantized block as its file has it.
type openBlock struct {
	file       *checkpoint.File
	layers     [llama.NumLinears]*artefact.Linear
	transforms stage.BlockTransforms
	norms      llama.Norms
}

// openFinished reads the file of block i, which stays open, and returns what learning needs of
// the block, too. It overwrites the state's block.
func (j *job) openFinished(st *stage.State, i int) (b openBlock, learner *learn.Block, err error) {
	c, q := &j.ck.Config, j.quantization()
	if b.file, err = checkpoint.OpenFile(filepath.Join(j.partial, j.shard(i))); err != nil {
		return b, nil, err
	}
	src, prefix := shardSource{b.file}, llama.TensorPrefix(i)
	if err := st.ReadTransforms(src, prefix); err != nil {
		return b, nil, err
	}
	b.transforms = st.Transforms
	st.Block = llama.DenseBlock{} // so that each block has its own memory
	st.Block.Index = i
	if err := st.Block.Norms.Read(c, src, i, 0); err != nil {
		return b, nil, err
	}
	st.Prefix = prefix
	for l := range llama.NumLinears {
		out, in := l.Shape(c)
		if b.layers[l], err = artefact.ReadLinear(src, prefix+l.String(), out, in, q); err != nil {
			return b, nil, err
		}
		d, layer := &st.Block.Linears[l], b.layers[l]
		d.Out, d.In, d.Bias, d.W = out, in, layer.Bias, make([]float32, out*in)
		if layer.Whole.Rows > 0 {
			layer.Dense(j.Pool, d.W)
		} else {
			layer.Residual(d.W, j.Pool.Run)
		}
	}
	b.norms = st.Block.Norms
	block := st.Block
	return b, st.Learner(&b.layers, func(l llama.Which) []float32 { return block.Linears[l].W }), nil
}

// readOutput reads the full-precision final norm and output matrix, with the model's rotation
// folded in.
func (j *job) readOutput(st *stage.State, m *learn.Model) error {
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
	prepare, err := st.Rotation.Rest(j.Pool, j.ck)
	if err != nil {
		return err
	}
	if prepare != nil {
		prepare[stage.HeadWeight](m.Head, j.ck.Config.VocabSize)
		prepare[stage.NormWeight](m.Norm, 1)
	}
	return nil
}

// writeDistilled writes block i with what has been learned, beside its file.
func (j *job) writeDistilled(b *openBlock, i int, learned *learn.Block) error {
	stage.Learned(j.Pool, learned, &b.layers)
	reports, err := readReports(b.file)
	if err != nil {
		return err
	}
	b.norms.AttnNorm, b.norms.MLPNorm = learned.AttnNorm, learned.MLPNorm
	return j.writeBlock(i, j.blockFile(i)+distilledSuffix, &llama.DenseBlock{Norms: b.norms}, b.layers[:], &b.transforms, reports)
}
