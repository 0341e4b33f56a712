package llama

import (
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
)

// QK is a transform of queries and keys after RoPE that makes keys suit the grid of the
// cache. It does not change attention: subtracting the mean changes all products of a query
// by the same q·mean, which does not change the softmax, and Queries is the inverse
// transpose of Keys.
type QK struct {
	Mean []float32 // subtracted from the keys [kv_heads·head_dim]; nil: nothing

	// For the rows of all heads ([linalg.Blocks] in both), or for each head alike; nil:
	// none.
	Queries, Keys linalg.Transform
}

// Apply transforms q [tokens × heads·head_dim] and k [tokens × kv_heads·head_dim] in place.
// A nil QK does nothing.
func (t *QK) Apply(p *parallel.Pool, q, k []float32) {
	if t == nil {
		return
	}
	if n := len(t.Mean); n > 0 {
		p.Run(len(k)/n, func(i int) { float.Axpy(k[i*n:][:n], -1, t.Mean) })
	}
	if t.Keys != nil {
		t.Queries.Apply(p, q, len(q)/t.Queries.Width())
		t.Keys.Apply(p, k, len(k)/t.Keys.Width())
	}
}

// ApplyHead is Apply for one token and one kv head: its key k [head_dim], and q, the
// queries that read it [heads/kv_heads · head_dim].
func (t *QK) ApplyHead(head int, q, k []float32) {
	if t == nil {
		return
	}
	if len(t.Mean) > 0 {
		float.Axpy(k, -1, t.Mean[head*len(k):][:len(k)])
	}
	if t.Keys == nil {
		return
	}
	if keys, ok := t.Keys.(*linalg.Blocks); ok {
		t.Queries.(*linalg.Blocks).ApplyBlock(head, q)
		keys.ApplyBlock(head, k)
		return
	}
	t.Queries.Apply(nil, q, len(q)/len(k))
	t.Keys.Apply(nil, k, 1)
}

// Alike is the QK that transforms each head of queries and keys by the same orthogonal
// matrix; nil for none.
func Alike(t linalg.Transform) *QK {
	if t == nil {
		return nil
	}
	return &QK{Queries: t, Keys: t}
}
