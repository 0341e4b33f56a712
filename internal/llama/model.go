package llama

import (
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
)

// Logits runs the whole checkpoint over one sequence, loading a block at a
// time, and returns the logits [tokens × vocab]. It is the reference, not the
// engine: every call reads every weight once.
func Logits(ck *checkpoint.Checkpoint, p *kernel.Pool, ids []int, hooks func(block int) Hooks) ([]float32, error) {
	c := &ck.Config
	r := NewRunner(c, p, len(ids))
	x := make([]float32, len(ids)*c.HiddenSize)
	if err := Embed(ck, x, ids); err != nil {
		return nil, err
	}
	var b DenseBlock
	for i := range c.Layers {
		if err := LoadBlock(ck, i, &b); err != nil {
			return nil, err
		}
		var h Hooks
		if hooks != nil {
			h = hooks(i)
		}
		r.Block(b.Block(), x, len(ids), h)
	}
	return Head(ck, p, x, len(ids))
}

// Head applies the final norm and the output matrix to x [tokens × hidden].
func Head(ck *checkpoint.Checkpoint, p *kernel.Pool, x []float32, tokens int) ([]float32, error) {
	c := &ck.Config
	norm, err := loadVector(ck, "model.norm.weight", nil)
	if err != nil {
		return nil, err
	}
	head, err := Half(ck, "lm_head.weight")
	if err != nil {
		return nil, err
	}
	p.RMSNorm(x, x, norm, c.NormEps, tokens)
	logits := make([]float32, tokens*c.VocabSize)
	p.MatMulHalf(logits, c.VocabSize, x, c.HiddenSize, head, tokens)
	return logits, nil
}
