package stage

import (
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
)

// Balanced keys, for a cache of 4 or 8 bits (ours; keys_solver.go has the equations). Before
// keys are rounded, their mean is taken away, which softmax does not notice, and keys and
// queries are multiplied by a matrix and its inverse transposed, chosen so that the
// products q·k suffer least from the rounding.
//
// Reads the moments of queries and keys that the statistics gathered. Changes no weight:
// the block gets a transform of its own, stored with it.

// keysWorth is the most rounding noise in the products of queries and keys that balancing
// may leave, as a share of the noise without. Where it leaves more, it is not worth the
// bits of its matrices, and the block's keys get the Hadamard matrix instead.
const keysWorth = 0.8

// setKeys makes q what the block does to queries and keys.
func (t *BlockTransforms) setKeys(q *artefact.QK, c *checkpoint.Config) (err error) {
	t.keys = q
	t.qk, err = q.Transform(c)
	return err
}

// qk is what the runtime does to queries and keys of the loaded block.
func (st *State) qk() *llama.QK {
	if st.Transforms.qk != nil {
		return st.Transforms.qk
	}
	return st.Rotation.QK
}

// BalanceKeys chooses what the loaded block does to queries and keys, from the moments
// that [State.Statistics] gathered.
func (st *State) BalanceKeys() error {
	m := st.moments
	st.moments = nil
	if err := st.balance(m); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

func (st *State) balance(m *KeyMoments) error {
	c, mean := st.Config, m.Mean()
	q, err := artefact.NewQK(c, mean, nil)
	if err != nil {
		return err
	}
	keys, err := m.Balance(st.Pool)
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
	return st.Transforms.setKeys(q, c)
}

// keyBits are the bits of what is stored for the keys, by weight of their layer.
func (st *State) keyBits() float64 {
	if st.Transforms.keys == nil {
		return 0
	}
	out, in := llama.K.Shape(st.Config)
	return 8 * float64(st.Transforms.keys.Bytes()) / float64(out*in)
}
