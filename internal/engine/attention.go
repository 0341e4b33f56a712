package engine

import (
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/llama"
)

// attentionJob is one kv head of one sequence, for rows next to each other.
type attentionJob struct{ row, rows, head int }

// attend takes the queries, keys and values of a block, in s.q, s.k and s.v, to the
// result of attention in s.attn: RoPE, what is done to queries and keys, the cache, and
// attention over it.
func (m *Model) attend(l *layer, index int, at []place) {
	c, s, n := m.Config, &m.s, len(at)
	for _, p := range at {
		p.seq.blocks[index].Reserve(max(p.position+1, p.seq.want), p.position, m.Context)
	}
	qk := l.qk
	if s.skipTransforms {
		qk = nil
	}
	if whole := m.jobs(at); whole && n <= headTokens {
		m.attendHeads(l, qk, index, at)
		return
	}
	qw, kvw, hd := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim, c.HeadDim
	m.pool.Run((n+queryRows-1)/queryRows, func(i int) {
		from, end := i*queryRows, min(n, (i+1)*queryRows)
		for i := from; i < end; i++ {
			llama.Turn(c, s.q[i*qw:][:qw], l.norms.QNorm, l.rope, at[i].position)
			llama.Turn(c, s.k[i*kvw:][:kvw], l.norms.KNorm, l.rope, at[i].position)
		}
		qk.Apply(nil, s.q[from*qw:end*qw], s.k[from*kvw:end*kvw])
		for i := from; i < end; i++ {
			for h := range c.KVHeads {
				put(&at[i].seq.blocks[index], h, at[i].position, s.k[i*kvw+h*hd:][:hd], s.v[i*kvw+h*hd:][:hd])
			}
		}
	})
	m.attention(l, index, at, nil)
}

// queryRows is how many rows of queries and keys are made ready together: as many as the
// tallest kernel of dense products takes.
const queryRows = 12

// headTokens is the most rows whose queries and keys are made ready by the job of
// attention that reads them, which saves forks and joins. More are a product of many
// rows.
const headTokens = 8

// attendHeads is attend for few rows: all that belongs to a kv head of a sequence is one
// job.
func (m *Model) attendHeads(l *layer, qk *llama.QK, index int, at []place) {
	c, s := m.Config, &m.s
	hd, group := c.HeadDim, c.Heads/c.KVHeads
	qw, kvw := c.Heads*hd, c.KVHeads*hd
	norms := l.norms
	if c.QKNorm == checkpoint.QKWhole { // a norm over all heads
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
	m.attention(l, index, at, func(j attentionJob) {
		for i := j.row; i < j.row+j.rows; i++ {
			q, k, v := s.q[i*qw+j.head*group*hd:][:group*hd], s.k[i*kvw+j.head*hd:][:hd], s.v[i*kvw+j.head*hd:][:hd]
			llama.Turn(c, q, norms.QNorm, l.rope, at[i].position)
			llama.Turn(c, k, norms.KNorm, l.rope, at[i].position)
			qk.ApplyHead(j.head, q, k)
			put(&at[i].seq.blocks[index], j.head, at[i].position, k, v)
		}
	})
}

// jobs sets s.jobs to what attention has to do, and reports whether all rows of a
// sequence are in one job for each kv head.
func (m *Model) jobs(at []place) (whole bool) {
	c, s := m.Config, &m.s
	s.jobs, whole = s.jobs[:0], true
	for row := 0; row < len(at); {
		end := row + 1
		for end < len(at) && at[end].seq == at[row].seq {
			end++
		}
		each := kv.Queries(c.Heads/c.KVHeads, at[end-1].position+1)
		whole = whole && end-row <= each
		for ; row < end; row += each {
			for h := range c.KVHeads {
				s.jobs = append(s.jobs, attentionJob{row, min(each, end-row), h})
			}
		}
		row = end
	}
	return whole
}

// attention does the jobs of s.jobs: it fills s.attn, each row looking back at its own
// sequence, no further than the block's window, if that is above 0. Before a job it
// calls before, unless that is nil.
func (m *Model) attention(l *layer, index int, at []place, before func(attentionJob)) {
	c, s := m.Config, &m.s
	hd, qw := c.HeadDim, c.Heads*c.HeadDim
	group, scale := c.Heads/c.KVHeads, c.AttentionScale()
	if s.kv == nil {
		s.kv = make(chan *kv.Scratch, m.pool.Threads())
		for range m.pool.Threads() {
			s.kv <- &kv.Scratch{}
		}
	}
	m.pool.Run(len(s.jobs), func(i int) {
		j := s.jobs[len(s.jobs)-1-i] // those that see most come first
		if before != nil {
			before(j)
		}
		b := <-s.kv
		o := j.row*qw + j.head*group*hd
		at[j.row].seq.blocks[index].Attend(b, s.attn[o:], s.q[o:], qw, j.head, group, at[j.row].position, j.rows, l.window, scale)
		s.kv <- b
	})
}
