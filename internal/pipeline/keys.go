package pipeline

import (
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
)

// keysWorth is how much of the rounding noise in the products of queries and keys
// balanced keys must leave at most. Where they leave more, they are not worth
// their bits: the block has Hadamard's matrix, as without.
const keysWorth = 0.8

// take takes over what the block does to queries and keys.
func (t *blockTurns) take(q *artefact.QK, c *checkpoint.Config) (err error) {
	t.keys = q
	t.qk, err = q.Transform(c)
	return err
}

// qk is what the runtime does to queries and keys of the loaded block.
func (w *worker) qk() *llama.QK {
	if w.turns.qk != nil {
		return w.turns.qk
	}
	return w.rotation.qk
}

// balance chooses what the loaded block does to queries and keys.
func (w *worker) balance(m *method.KeyMoments) error {
	c, mean := w.config, m.Mean()
	q, err := artefact.NewQK(c, mean, nil)
	if err != nil {
		return err
	}
	keys, err := m.Balance(w.pool)
	if err != nil {
		return err
	}
	if keys != nil {
		full, err := artefact.NewQK(c, mean, keys)
		if err != nil {
			return err
		}
		if m.Noise(full.Matrices(c.HeadDim)) <= keysWorth {
			q = full
		}
	}
	return w.turns.take(q, c)
}

// keyBits are the bits of what is stored for the keys, by weight of their layer.
func (w *worker) keyBits() float64 {
	if w.turns.keys == nil {
		return 0
	}
	out, in := llama.K.Shape(w.config)
	return 8 * float64(w.turns.keys.Bytes()) / float64(out*in)
}
