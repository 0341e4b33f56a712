package learn

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/kernel"
)

// Model is a whole quantized model to be trained.
type Model struct {
	Blocks []*Block
	Norm   []float32 // [hidden] final gain
	Head   []float32 // [vocab × hidden] output matrix
}

// TuneModel minimizes the divergence of the model's predictions from the full-precision
// model's. Windows returns the embeddings, and the full-precision model's residual stream
// after its last block. It returns the divergence, in nats per token, over the first and
// the last epoch.
func TuneModel(ctx context.Context, p *kernel.Pool, m *Model, w Windows, o Options) (first, last float64, err error) {
	tape := &grad.Tape{Pool: p}
	var params []*parameters
	var groups []grad.Group
	for _, b := range m.Blocks {
		k := newParameters(b, w.Tokens(), o)
		k.hook(tape)
		params = append(params, k)
		groups = append(groups, k.groups...)
	}
	c := m.Blocks[0].Config
	hidden := c.HiddenSize
	norm := grad.Const(1, hidden, m.Norm)
	head := grad.Const(c.VocabSize, hidden, m.Head)
	steps := (w.Count() + o.Batch - 1) / o.Batch
	adam := &grad.AdamW{Groups: groups, Schedule: grad.Cosine(steps*o.Epochs, 0.02), Beta2: 0.95}
	size := w.Tokens() * hidden
	x, target := make([]float32, o.Batch*size), make([]float32, o.Batch*size)
	err = eachBatch(ctx, w, o, func(epoch int, at []int) (float64, error) {
		rows := len(at) * w.Tokens()
		for k, i := range at {
			in, out, err := w.Window(i)
			if err != nil {
				return 0, err
			}
			copy(x[k*size:], in)
			copy(target[k*size:], out)
		}
		p.RMSNorm(target[:rows*hidden], target[:rows*hidden], m.Norm, c.NormEps, rows)
		y := grad.Const(rows, hidden, x[:rows*hidden])
		for _, k := range params {
			y = tape.Block(y, k.spec)
		}
		loss := tape.KL(tape.RMSNorm(y, norm, c.NormEps), head, grad.HeadLogits(p, grad.Const(rows, hidden, target[:rows*hidden]), head))
		value := float64(loss.Data[0])
		tape.Backward(loss)
		tape.Reset()
		return value, adam.Step()
	}, &first, &last)
	if err != nil {
		return 0, 0, err
	}
	for i, k := range params {
		if err := k.write(tape); err != nil {
			return 0, 0, fmt.Errorf("block %d: %w", i, err)
		}
	}
	return first, last, nil
}

// eachBatch calls step with batches of windows in an order chosen by the seed, and sets
// first and last to the mean result of the first and last epoch.
func eachBatch(ctx context.Context, w Windows, o Options, step func(epoch int, windows []int) (float64, error), first, last *float64) error {
	order := make([]int, w.Count())
	for i := range order {
		order[i] = i
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0x7475_6e65))
	for epoch := range o.Epochs {
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		var sum float64
		for at := 0; at < len(order); at += o.Batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			part := order[at:min(at+o.Batch, len(order))]
			v, err := step(epoch, part)
			if err != nil {
				return err
			}
			sum += v * float64(len(part))
		}
		*last = sum / float64(len(order))
		if epoch == 0 {
			*first = *last
		}
	}
	return nil
}
