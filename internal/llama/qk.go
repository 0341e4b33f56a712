package llama

import (
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/linalg"
)

// QK is what is done to queries and keys after RoPE so that keys suit the grid
// of the cache. It leaves attention as it is: the products of queries and keys
// lose q·mean, which is the same for all keys that a query sees, so that
// softmax does not notice; and Queries is the inverse transpose of Keys.
type QK struct {
	Mean []float32 // taken off the keys [kv_heads·head_dim]; nil: nothing

	// Of the rows of all heads, or, where they are narrower, of each head; nil:
	// none.
	Queries, Keys linalg.Transform
}

// Apply does it to q [tokens × heads·head_dim] and k [tokens × kv_heads·head_dim].
// Nothing is done by a nil QK.
func (t *QK) Apply(p *kernel.Pool, q, k []float32) {
	if t == nil {
		return
	}
	if n := len(t.Mean); n > 0 {
		p.Run(len(k)/n, func(i int) { kernel.Axpy(k[i*n:][:n], -1, t.Mean) })
	}
	if t.Keys != nil {
		t.Queries.Apply(p, q, len(q)/t.Queries.Width())
		t.Keys.Apply(p, k, len(k)/t.Keys.Width())
	}
}

// Alike is the QK that turns each head of queries and keys by the same
// orthogonal matrix; nil for none.
func Alike(t linalg.Transform) *QK {
	if t == nil {
		return nil
	}
	return &QK{Queries: t, Keys: t}
}

// Wide says whether rows are transformed as a whole, rather than head by head.
func (t *QK) Wide(headDim int) bool { return t != nil && t.Keys != nil && t.Keys.Width() > headDim }
