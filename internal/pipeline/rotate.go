package pipeline

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
)

// rotation is what a recipe turns. R1 and R2 are folded into the weights and
// leave nothing to do at run time; the others are applied to activations.
type rotation struct {
	residual linalg.Transform                  // R1, of the residual stream
	heads    linalg.Transform                  // R2, of each value head
	qk       *llama.QK                         // R3, of each head of queries and keys
	inputs   [llama.NumInputs]linalg.Transform // at run time, before they are quantized
	own      []linalg.Transform                // R2 of each block, where they are learned
	signs    [llama.NumInputs]linalg.Signs     // folded into what precedes an input: no sum of like signs meets a row of ones
}

// newRotation makes the recipe's transforms for a model; nothing where the
// recipe has none.
func newRotation(recipe *method.Recipe, c *checkpoint.Config) (*rotation, error) {
	t, r := &rotation{}, recipe.Rotate
	if r == nil {
		return t, nil
	}
	var err error
	if r.Residual != "" {
		if t.residual, err = linalg.NewRotation(c.HiddenSize, r.Seed); err != nil {
			return nil, fmt.Errorf("rotate.residual: %w", err)
		}
	}
	if r.Heads != "" {
		if t.heads, err = linalg.NewRotation(c.HeadDim, r.Seed+1); err != nil {
			return nil, fmt.Errorf("rotate.heads: %w", err)
		}
	}
	formats := transforms(recipe)
	if formats.Cache != "" { // balanced: of the blocks where that is not worth its bits
		h, err := linalg.NewHadamard(c.HeadDim)
		if err != nil {
			return nil, fmt.Errorf("rotate.cache: %w", err)
		}
		t.qk = llama.Alike(h)
	}
	for in := range llama.NumInputs {
		if formats.Input(in) == artefact.Kronecker {
			continue // each block has its own
		}
		if t.inputs[in], err = artefact.NewTransform(formats.Input(in), in, c); err != nil {
			return nil, fmt.Errorf("rotate: %w", err)
		}
		if t.inputs[in] == nil {
			continue
		}
		n := in.Width(c)
		if in == llama.OInput {
			n = c.KVHeads * c.HeadDim
		}
		if t.signs[in], err = linalg.NewSigns(n, r.Seed+2+uint64(in)); err != nil {
			return nil, fmt.Errorf("rotate: %w", err)
		}
	}
	return t, nil
}

// transforms are the recipe's in the artefact's terms.
func transforms(r *method.Recipe) (t artefact.Transforms) {
	if o := r.Rotate; o != nil {
		t = artefact.Transforms{Attn: o.Attn, O: o.O, MLP: o.MLP, Down: o.Down, Cache: r.CacheTransform()}
	}
	if r.Learn != nil && r.Learn.Method == method.LearnFlatQuant {
		const k = artefact.Kronecker
		t.Attn, t.O, t.MLP, t.Down = k, k, k, k
	}
	return t
}

// load reads block i of the checkpoint as this recipe sees it: with R1 folded
// in, where there is one.
func (t *rotation) load(p *kernel.Pool, ck *checkpoint.Checkpoint, i int, b *llama.DenseBlock) error {
	if t.own != nil {
		t.heads = t.own[i]
	}
	if err := llama.LoadBlock(ck, i, b); err != nil || t.residual == nil {
		return err
	}
	for l := range llama.NumLinears {
		d := &b.Linears[l]
		switch l.Input() {
		case llama.AttnInput:
			method.ScaleColumns(d.W, b.AttnNorm, p.Run)
			linalg.FoldInput(p, d.W, d.Out, t.residual)
		case llama.MLPInput:
			method.ScaleColumns(d.W, b.MLPNorm, p.Run)
			linalg.FoldInput(p, d.W, d.Out, t.residual)
		default:
			linalg.FoldOutput(p, d.W, d.In, t.residual)
			if d.Bias != nil {
				t.residual.Apply(p, d.Bias, 1)
			}
		}
	}
	for i := range b.AttnNorm {
		b.AttnNorm[i], b.MLPNorm[i] = 1, 1
	}
	return nil
}

// embed turns embeddings x [tokens × hidden].
func (t *rotation) embed(p *kernel.Pool, x []float32, tokens int) {
	if t.residual != nil {
		t.residual.Apply(p, x, tokens)
	}
}

// rest says how R1 changes the tensors that are not in a block; nothing for
// those that stay as they are.
func (t *rotation) rest(p *kernel.Pool, ck *checkpoint.Checkpoint) (map[string]func(w []float32, rows int), error) {
	if t.residual == nil {
		return nil, nil
	}
	norm, err := llama.Vector(ck, normWeight, ck.Config.HiddenSize)
	if err != nil {
		return nil, err
	}
	return map[string]func(w []float32, rows int){
		embedWeight: func(w []float32, rows int) { t.residual.Apply(p, w, rows) },
		headWeight: func(w []float32, rows int) {
			method.ScaleColumns(w, norm, p.Run)
			linalg.FoldInput(p, w, rows, t.residual)
		},
		normWeight: func(w []float32, _ int) {
			for i := range w {
				w[i] = 1
			}
		},
	}, nil
}

// changedRows is how many rows of a tensor are changed at a time.
const changedRows = 2048

// changed is a tensor that fn changes while it is written, in 16-bit floats
// unless it was stored in 32.
func changed(name string, t checkpoint.Tensor, fn func(w []float32, rows int)) checkpoint.TensorSpec {
	rows, cols := 1, t.Elems()
	if len(t.Shape) == 2 {
		rows, cols = t.Shape[0], t.Shape[1]
	}
	spec := checkpoint.TensorSpec{Name: name, DType: checkpoint.F16, Shape: t.Shape}
	if t.DType == checkpoint.F32 {
		spec.DType = checkpoint.F32
	}
	spec.Write = func(out io.Writer) error {
		w := make([]float32, min(rows, changedRows)*cols)
		raw := make([]byte, 0, len(w)*spec.DType.Size())
		for first := 0; first < rows; first += changedRows {
			n := min(changedRows, rows-first)
			part, size := t, t.DType.Size()*cols
			part.Shape, part.Data = []int{n, cols}, t.Data[first*size:][:n*size]
			if err := part.Float32(w[:n*cols]); err != nil {
				return err
			}
			fn(w[:n*cols], n)
			raw = raw[:0]
			for _, v := range w[:n*cols] {
				if spec.DType == checkpoint.F32 {
					raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
					continue
				}
				h := kernel.ToF16(v)
				if h&0x7c00 == 0x7c00 {
					return fmt.Errorf("%s: tensor %s: %v does not fit a 16-bit float after rotation", t.File, t.Name, v)
				}
				raw = binary.LittleEndian.AppendUint16(raw, h)
			}
			if _, err := out.Write(raw); err != nil {
				return err
			}
		}
		t.Release()
		return nil
	}
	return spec
}

// fold puts R2 and the inverses of the run-time transforms into the weights of
// the loaded block.
func (w *worker) foldRotation() {
	t, c := w.rotation, w.config
	if t.heads != nil {
		v, o := &w.block.Linears[llama.V], &w.block.Linears[llama.O]
		for h := range c.KVHeads {
			linalg.FoldOutput(w.pool, v.W[h*c.HeadDim*v.In:][:c.HeadDim*v.In], v.In, t.heads)
		}
		if v.Bias != nil {
			t.heads.Apply(w.pool, v.Bias, c.KVHeads)
		}
		t.heads.Apply(w.pool, o.W, o.Out*c.Heads)
	}
	for in, transform := range t.inputs {
		in := llama.Input(in)
		if transform == nil {
			continue
		}
		signs := w.spread(in, t.signs[in])
		w.fold(in, signs)
		for _, l := range in.Readers() {
			d := &w.block.Linears[l]
			method.ScaleColumns(d.W, signs, w.pool.Run)
			linalg.FoldInput(w.pool, d.W, d.Out, transform)
		}
	}
	w.rotated = true
}

// spread gives each channel of o's input the sign of the value channel that it
// is made of.
func (w *worker) spread(in llama.Input, signs linalg.Signs) []float32 {
	if in != llama.OInput {
		return signs
	}
	all := make([]float32, in.Width(w.config))
	for i, kv := range w.kvChannels() {
		all[i] = signs[kv]
	}
	return all
}
