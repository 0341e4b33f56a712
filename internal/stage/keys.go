package stage

import (
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
)

// Balanced keys, for a cache of 4 or 8 bits (our own method; keys_solver.go has the
// equations). Before keys are rounded, their mean is subtracted, which does not change the
// softmax. Keys are multiplied by a matrix and queries by its inverse transpose, chosen so
// that rounding the keys changes the products q·k least.
//
// Reads the moments of queries and keys that the statistics gathered. Changes no weight:
// the matrices are stored as a transform of the block.
//
// Reads the moments of queries and keys that the statistics gathered. Changes no weight:
// the block gets a transform of its own, stored with it.

// keysWorth is the largest rounding noise in the products of queries and keys, as a
// fraction of the noise without balancing, at which balancing is still worth the bits of
// its matrices. Above it the block's keys get the Hadamard matrix instead.
const keysWorth = 0.8

// setKeys stores q as the block's transform of queries and keys.
func (t *BlockTransforms) setKeys(q *artefact.QK, c *checkpoint.Config) (err error) {
	t.keys = q
	t.qk, err = q.Transform(c)
	return err
}

// qk returns what the runtime does to queries and keys of the loaded block.
func (st *State) qk() *llama.QK {
	if st.Transforms.qk != nil {
		return st.Transforms.qk
	}
	return st.Rotation.QK
}

// BalanceKeys chooses the loaded block's transform of queries and keys from the moments
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

// keyBits is the size in bits of what is stored for the keys, per weight of the k layer.
func (st *State) keyBits() float64 {
	if st.Transforms.keys == nil {
		return 0
	}
	out, in := llama.K.Shape(st.Config)
	return 8 * float64(st.Transforms.keys.Bytes()) / float64(out*in)
}
