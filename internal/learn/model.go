package learn

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Model is a whole quantized model to be trained.
type Model struct {
	Blocks []*Block
	Norm   []float32 // [hidden] final gain
	Head   []float32 // [vocab × hidden] output matrix
}

// TuneModel minimizes the divergence of the model's predictions from the full-precision
// model's, in nats per token, as far as windows that are not trained on gain from it: see
// [Outcome]. Windows returns the embeddings, and the full-precision model's residual stream
// after its last block. A model that gains nothing is left as it is.
func TuneModel(ctx context.Context, p *parallel.Pool, m *Model, w Windows, o Options) (Outcome, error) {
	ch := newChain(p, m, w.Tokens(), o)
	d := descent{windows: w, options: o, width: ch.config.HiddenSize, groups: ch.groups, loss: ch.loss}
	out, err := d.judged(ctx)
	if err != nil || out.Epoch == 0 {
		return out, err
	}
	for i, k := range ch.params {
		if err := k.write(ch.tape); err != nil {
			return out, fmt.Errorf("block %d: %w", i, err)
		}
	}
	return out, nil
}

// chain is a model of which one block at a time is on the tape: the forward pass keeps each
// block's input, and the backward pass computes the block once more from it (Chen et al.,
// arXiv 1604.06174). So the memory of the tape does not grow with the number of blocks.
type chain struct {
	*Model
	config *checkpoint.Config
	pool   *parallel.Pool
	tape   *grad.Tape
	params []*parameters
	groups []grad.Group
	norm   *grad.Var
	head   *grad.Var

	inputs [][]float32 // of each block, and the last one's output
}

func newChain(p *parallel.Pool, m *Model, window int, o Options) *chain {
	c := m.Blocks[0].Config
	ch := &chain{Model: m, config: c, pool: p, tape: &grad.Tape{Pool: p},
		norm: grad.Const(1, c.HiddenSize, m.Norm), head: grad.Const(c.VocabSize, c.HiddenSize, m.Head)}
	for _, b := range m.Blocks {
		k := newParameters(b, window, o)
		k.hook(ch.tape)
		ch.params = append(ch.params, k)
		ch.groups = append(ch.groups, k.groups...)
	}
	size := o.Batch * window * c.HiddenSize
	for range len(m.Blocks) + 1 {
		ch.inputs = append(ch.inputs, make([]float32, size))
	}
	return ch
}

// loss is the divergence of the predictions from embeddings x from those from target, the
// full-precision model's residual stream after its last block, which is overwritten. Both
// are [rows × hidden].
func (ch *chain) loss(x, target []float32, rows int, learn bool) float64 {
	t, n, eps := ch.tape, len(x), ch.config.NormEps
	copy(ch.inputs[0], x)
	for i, k := range ch.params {
		y := t.Block(grad.Const(rows, ch.config.HiddenSize, ch.inputs[i][:n]), k.spec)
		copy(ch.inputs[i+1], y.Data)
		t.Reset()
	}
	float.RMSNormOn(ch.pool, target, target, ch.Norm, eps, rows)
	y := ch.variable(len(ch.params), rows)
	value := finish(t, t.KL(t.RMSNorm(y, ch.norm, eps), ch.head, grad.HeadLogits(ch.pool, grad.Const(rows, ch.config.HiddenSize, target), ch.head)), learn)
	if !learn {
		return value
	}
	for i := len(ch.params) - 1; i >= 0; i-- {
		x := ch.variable(i, rows)
		t.BackwardFrom(t.Block(x, ch.params[i].spec), y.Grad)
		t.Reset()
		y = x
	}
	return value
}

// variable is the input of block i, or the last one's output, with room for its gradient.
func (ch *chain) variable(i, rows int) *grad.Var {
	hidden := ch.config.HiddenSize
	return grad.Param("", rows, hidden, ch.inputs[i][:rows*hidden])
}
