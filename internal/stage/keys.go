package stage

import (
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
)

// keysWorth is how much of the rounding noise in the products of queries and keys
// balanced keys must leave at most. Where they leave more, they are not worth
// their bits: the block has Hadamard's matrix, as without.
const keysWorth = 0.8

// take takes over what the block does to queries and keys.
func (t *BlockTransforms) take(q *artefact.QK, c *checkpoint.Config) (err error) {
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
	return st.Transforms.take(q, c)
}

// keyBits are the bits of what is stored for the keys, by weight of their layer.
func (st *State) keyBits() float64 {
	if st.Transforms.keys == nil {
		return 0
	}
	out, in := llama.K.Shape(st.Config)
	return 8 * float64(st.Transforms.keys.Bytes()) / float64(out*in)
}
