package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/plural"
)

// Embed writes the embeddings of ids into x [tokens × hidden].
func (m *Model) Embed(x []float32, ids []int) error {
	h := m.Config.HiddenSize
	if len(x) != len(ids)*h {
		return fmt.Errorf("embedding %s into %s, expected %d", plural.Of(len(ids), "token"), plural.Of(len(x), "value"), len(ids)*h)
	}
	for _, id := range ids {
		if id < 0 || id >= m.Config.VocabSize {
			return fmt.Errorf("token id %d is outside the vocabulary of %d", id, m.Config.VocabSize)
		}
	}
	m.embedding(x, len(ids), func(i int) int { return ids[i] })
	return nil
}

// RunBlock runs one block alone over sets of windows [tokens × hidden], in
// place. Each window starts with an empty context. The block is loaded once.
func (m *Model) RunBlock(ctx context.Context, index int, sets ...[][]float32) error {
	h, s := m.Config.HiddenSize, &m.s
	if index < 0 || index >= len(m.layers) {
		return fmt.Errorf("block %d of a model of %d", index, len(m.layers))
	}
	windows := slices.Concat(sets...)
	for _, w := range windows {
		if n := len(w) / h; n > m.Context || n*h != len(w) {
			return &ContextError{Tokens: n, Context: m.Context}
		}
	}
	l, err := m.layer(index)
	if err != nil {
		return err
	}
	defer m.release(index)
	seq := &Sequence{model: m, blocks: make([]kv.Cache, m.Config.Layers)}
	seq.blocks[index] = m.newCache()
	for _, w := range windows {
		tokens := len(w) / h
		for first := 0; first < tokens; first += chunkTokens {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(chunkTokens, tokens-first)
			m.reserve(n)
			part := w[first*h:][:n*h]
			copy(s.x, part)
			at := s.at[:0]
			for i := range n {
				at = append(at, place{seq: seq, position: first + i, hidden: true}) // in the last block too
			}
			s.at = at
			seq.blocks[index].Reserve(first+n, first, m.Context)
			m.block(l, index, at, nil)
			m.added(l, n)
			copy(part, s.x)
		}
	}
	return nil
}
