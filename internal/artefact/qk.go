package artefact

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
)

// QK is a block's transform of queries and keys after RoPE, as it is stored: see
// [llama.QK]. The matrices for the keys are rounded to 16-bit floats when they are read, and
// those for the queries, which are rounded too, are computed from what they became.
type QK struct {
	Mean []uint16  // 16-bit floats [kv_heads × head_dim]
	Keys *ByteRows // for each kv head [kv_heads·head_dim × head_dim]; nil: a Hadamard matrix
}

// NewQK rounds mean [kv_heads × head_dim] and keys [kv_heads × head_dim × head_dim] (nil
// for the Hadamard matrix) to the stored formats.
func NewQK(c *checkpoint.Config, mean, keys []float32) (*QK, error) {
	q := &QK{Mean: toHalf(mean)}
	for i, h := range q.Mean {
		if h&0x7c00 == 0x7c00 {
			return nil, fmt.Errorf("the mean of the keys is %v in channel %d of kv head %d, expected the range of a 16-bit float (±65504); use rotate.cache: hadamard", mean[i], i%c.HeadDim, i/c.HeadDim)
		}
	}
	if keys != nil {
		q.Keys = NewByteRows(keys, c.KVHeads*c.HeadDim, c.HeadDim)
	}
	return q, nil
}

// Matrices returns the decoded matrices for the keys [kv_heads × head_dim × head_dim],
// exactly.
func (q *QK) Matrices(headDim int) []float32 {
	m := make([]float32, len(q.Keys.Codes))
	for i, c := range q.Keys.Codes {
		m[i] = float32(c) * float.FromF16(q.Keys.Scales[i/headDim])
	}
	return m
}

// Bytes is the size on disk.
func (q *QK) Bytes() int {
	n := 2 * len(q.Mean)
	if q.Keys != nil {
		n += q.Keys.bytes()
	}
	return n
}

// Tensors returns the tensors to store; prefix is that of the block's tensor names.
func (q *QK) Tensors(prefix string, c *checkpoint.Config) []checkpoint.TensorSpec {
	specs := []checkpoint.TensorSpec{{Name: prefix + "cache.mean", DType: checkpoint.F16, Shape: []int{c.KVHeads, c.HeadDim}, Data: bytesOf(q.Mean)}}
	if q.Keys == nil {
		return specs
	}
	return append(specs,
		checkpoint.TensorSpec{Name: prefix + "cache.keys", DType: checkpoint.I8, Shape: []int{c.KVHeads, c.HeadDim, c.HeadDim}, Data: bytesOf(q.Keys.Codes)},
		checkpoint.TensorSpec{Name: prefix + "cache.scales", DType: checkpoint.F16, Shape: []int{c.KVHeads, c.HeadDim}, Data: bytesOf(q.Keys.Scales)})
}

// ReadQK reads the tensors written by Tensors.
func ReadQK(src Source, prefix string, c *checkpoint.Config) (*QK, error) {
	q := &QK{}
	var err error
	if q.Mean, err = halves(src, prefix+"cache.mean", c.KVHeads*c.HeadDim); err != nil {
		return nil, err
	}
	if src.Has(prefix + "cache.keys") {
		q.Keys, err = readByteRows(src, prefix+"cache.keys", prefix+"cache.scales", c.KVHeads*c.HeadDim, c.HeadDim)
	}
	return q, err
}

// Transform returns the transform in the form that package llama applies.
func (q *QK) Transform(c *checkpoint.Config) (*llama.QK, error) {
	t := &llama.QK{Mean: toFloat(q.Mean)}
	if q.Keys == nil {
		h, err := linalg.NewHadamard(c.HeadDim)
		t.Queries, t.Keys = h, h
		return t, err
	}
	n := c.HeadDim
	rounded, err := linalg.NewBlocks(q.Matrices(n), c.KVHeads, n, 1)
	if err != nil {
		return nil, fmt.Errorf("cache.keys: %w; the artefact is damaged; quantize again", err)
	}
	t.Keys = rounded
	keys := rounded.Matrices() // of which the queries' are the inverses
	queries := make([]float32, len(keys))
	for h := range c.KVHeads {
		m := make([]float64, n*n)
		for i, v := range keys[h*n*n:][:n*n] {
			m[i] = float64(v)
		}
		inverse := linalg.Invert(m, n)
		if inverse == nil {
			return nil, fmt.Errorf("cache.keys: the matrix of kv head %d has no inverse; the artefact is damaged; quantize again", h)
		}
		for i := range n {
			for j := range n {
				v := float32(inverse[j*n+i])
				if math.IsInf(float64(v), 0) || v != v {
					return nil, fmt.Errorf("cache.keys: the inverse of the matrix of kv head %d is not finite; the artefact is damaged; quantize again", h)
				}
				queries[(h*n+i)*n+j] = v
			}
		}
	}
	if t.Queries, err = linalg.NewBlocks(queries, c.KVHeads, n, c.Heads/c.KVHeads); err != nil {
		return nil, fmt.Errorf("cache.keys, inverses: %w; the artefact is damaged; quantize again", err)
	}
	return t, nil
}
