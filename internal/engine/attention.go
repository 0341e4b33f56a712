package engine

import (
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/llama"
)

// attend computes attention of a block for a batch: from the queries, keys and values of all
// rows, s.q, s.k and s.v, to s.attn. Queries and keys are prepared first: they are normed,
// rotated to their position (RoPE) and transformed, as far as the block says so. The keys and
// values of all rows are put into the caches of their sequences, which have room for them. It
// returns the rows that attention was computed for: all, but in the last block only those of
// which something is asked for.
func (m *Model) attend(l *layer, index int, at []place) []place {
	s := &m.s
	qk := l.qk
	if s.skipTransforms {
		qk = nil
	}
	all := index < len(m.layers)-1 || !slices.ContainsFunc(at, func(p place) bool { return !p.wanted() })
	if whole := m.schedule(at); whole && all && len(at) <= headRows {
		s.meter.At(PartAttention, 0)
		m.attendHeads(l, qk, index, at)
		return at
	}
	s.meter.At(PartKeys, 0)
	m.prepareRows(l, qk, index, at)
	s.meter.At(PartAttention, 0)
	if !all {
		at = m.keepWanted(at)
		m.schedule(at)
	}
	m.attention(l, at, func(j kv.Job) *kv.Cache { return &at[j.Row].seq.blocks[index] })
	return at
}

// schedule cuts attention for the rows into jobs. It reports whether all rows of a sequence
// are in one job for each kv head.
func (m *Model) schedule(at []place) (whole bool) {
	c, s := m.Config, &m.s
	whole = true
	s.attention.Reset()
	for row := 0; row < len(at); {
		end := row + 1
		for end < len(at) && at[end].seq == at[row].seq && at[end].position == at[end-1].position+1 {
			end++
		}
		whole = s.attention.Add(row, end-row, at[row].position, c.KVHeads, c.Heads/c.KVHeads) && whole
		row = end
	}
	return whole
}

// attention does the scheduled jobs. Each row sees its own sequence up to its position, and no
// more positions than the block's window, if it has one.
func (m *Model) attention(l *layer, at []place, prepare func(kv.Job) *kv.Cache) {
	c, s := m.Config, &m.s
	s.attention.Run(m.pool, s.attn, s.q, c.Heads/c.KVHeads, l.window, c.AttentionScale(), prepare)
}

// preparedRows is the number of rows whose queries and keys a thread prepares together: as many
// as the tallest kernel for dense products takes, because a transform may be such a product.
const preparedRows = 12

// prepareRows prepares the queries and keys of all rows and puts keys and values into the
// caches, before attention begins.
func (m *Model) prepareRows(l *layer, qk *llama.QK, index int, at []place) {
	c, s, n := m.Config, &m.s, len(at)
	qw, kvw, hd := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim, c.HeadDim
	m.pool.Run((n+preparedRows-1)/preparedRows, func(i int) {
		from, end := i*preparedRows, min(n, (i+1)*preparedRows)
		for i := from; i < end; i++ {
			llama.PrepareHeads(c, s.q[i*qw:][:qw], l.norms.QNorm, l.rope, at[i].position)
			llama.PrepareHeads(c, s.k[i*kvw:][:kvw], l.norms.KNorm, l.rope, at[i].position)
		}
		qk.Apply(nil, s.q[from*qw:end*qw], s.k[from*kvw:end*kvw])
		for i := from; i < end; i++ {
			for h := range c.KVHeads {
				put(&at[i].seq.blocks[index], h, at[i].position, s.k[i*kvw+h*hd:][:hd], s.v[i*kvw+h*hd:][:hd])
			}
		}
	})
}

// headRows is the largest number of rows for which the job that computes attention of a kv head
// also prepares that head's queries and keys. This saves starting the threads a second time.
// More rows are faster with prepareRows, where a transform is a product of many rows.
const headRows = 8

// attendHeads is attend for few rows: everything that a kv head of a sequence needs is done in
// one job.
func (m *Model) attendHeads(l *layer, qk *llama.QK, index int, at []place) {
	c, s := m.Config, &m.s
	hd, group := c.HeadDim, c.Heads/c.KVHeads
	qw, kvw := c.Heads*hd, c.KVHeads*hd
	norms := l.norms
	if c.QKNorm == checkpoint.QKWhole { // a norm over all heads, which no job has
		for i := range at {
			if norms.QNorm != nil {
				q := s.q[i*qw:][:qw]
				float.RMSNorm(q, q, norms.QNorm, c.NormEps)
			}
			if norms.KNorm != nil {
				k := s.k[i*kvw:][:kvw]
				float.RMSNorm(k, k, norms.KNorm, c.NormEps)
			}
		}
		norms.QNorm, norms.KNorm = nil, nil
	}
	m.attention(l, at, func(j kv.Job) *kv.Cache {
		cache := &at[j.Row].seq.blocks[index]
		for i := j.Row; i < j.Row+j.Rows; i++ {
			q, k, v := s.q[i*qw+j.Head*group*hd:][:group*hd], s.k[i*kvw+j.Head*hd:][:hd], s.v[i*kvw+j.Head*hd:][:hd]
			llama.PrepareHeads(c, q, norms.QNorm, l.rope, at[i].position)
			llama.PrepareHeads(c, k, norms.KNorm, l.rope, at[i].position)
			qk.ApplyHead(j.Head, q, k)
			put(cache, j.Head, at[i].position, k, v)
		}
		return cache
	})
}
