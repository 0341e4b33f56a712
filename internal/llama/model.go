package llama

import (
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Logits runs the whole checkpoint over one sequence, loading one block at a time, and
// returns the logits [tokens × vocab]. It is the reference, not the engine: every call
// reads every weight from the file.
func Logits(ck *checkpoint.Checkpoint, p *parallel.Pool, ids []int, hooks func(block int) Hooks) ([]float32, error) {
	all, err := LogitsOfAll(ck, p, [][]int{ids}, hooks)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// LogitsOfAll is [Logits] for several independent sequences. They go through each block one
// after the other, so that its weights come from the disk once.
func LogitsOfAll(ck *checkpoint.Checkpoint, p *parallel.Pool, sequences [][]int, hooks func(block int) Hooks) ([][]float32, error) {
	c := &ck.Config
	longest := 0
	xs := make([][]float32, len(sequences))
	for i, ids := range sequences {
		longest = max(longest, len(ids))
		xs[i] = make([]float32, len(ids)*c.HiddenSize)
		if err := Embed(ck, xs[i], ids); err != nil {
			return nil, err
		}
	}
	r := NewRunner(c, p, longest)
	var b DenseBlock
	for i := range c.Layers {
		block, err := mappedBlock(ck, i, &b)
		if err != nil {
			return nil, err
		}
		var h Hooks
		if hooks != nil {
			h = hooks(i)
		}
		for k, x := range xs {
			r.Block(block, x, len(sequences[k]), h)
		}
	}
	logits := make([][]float32, len(sequences))
	for i, x := range xs {
		var err error
		if logits[i], err = Head(ck, p, x, len(sequences[i])); err != nil {
			return nil, err
		}
	}
	return logits, nil
}

// Head applies the final norm and the output matrix to x [tokens × hidden].
func Head(ck *checkpoint.Checkpoint, p *parallel.Pool, x []float32, tokens int) ([]float32, error) {
	c := &ck.Config
	norm, err := OutputGain(ck)
	if err != nil {
		return nil, err
	}
	t, err := ck.Tensor("lm_head.weight")
	if err != nil {
		return nil, err
	}
	head, err := NewMapped(t)
	if err != nil {
		return nil, err
	}
	float.RMSNormOn(p, x, x, norm, c.NormEps, tokens)
	logits := make([]float32, tokens*c.VocabSize)
	head.Forward(p, logits, x, tokens)
	if c.LogitSoftCap > 0 {
		float.SoftCapOn(p, logits, 1, float32(c.LogitSoftCap))
	}
	return logits, nil
}
