package engine

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
)

// chunkTokens bounds the tokens that go through the blocks together, and
// logitTokens those whose logits are in memory together. Neither changes a
// result.
const (
	chunkTokens = 512
	logitTokens = 32
)

// Want says which logits a caller is interested in.
type Want int

// None, the last token's, or every token's; or of every token, instead of logits, the last
// block's output after the final norm, which is what the output matrix reads.
const (
	WantNone Want = iota
	WantLast
	WantAll
	WantHidden
)

// Step is what one sequence is to be fed.
type Step struct {
	Seq  *Sequence
	IDs  []int
	Want Want
}

// scratch is the memory of one forward pass, reused.
type scratch struct {
	pool   *kernel.Pool
	acts   kernel.Activations
	z, u   []float32
	ys     [][]float32
	counts []int

	mixture mixtureScratch
	fill    func(from, end int) // makes tokens of the input of the next layers, each by itself; nil: it is there

	kept, full int64 // run-time truncation's account

	skipBranch, skipTransforms bool // for measurements: leave the branch (and biases), or the transforms, out

	x, norm, q, k, v, attn, out, gate, up []float32
	kv                                    chan *kernel.KVScratch // one for each thread
	jobs                                  []attentionJob
	logits                                []float32
	at                                    []place
}

// place says where a row of the batch stands: its sequence and its position.
type place struct {
	seq      *Sequence
	step     int // index into the steps
	offset   int // index into the step's tokens
	position int
	emit     bool // its logits are wanted
	hidden   bool // its last hidden state is
}

// Forward feeds tokens to sequences, many at once, and hands out the logits
// that are wanted: emit is called with the step, the index of the token in the
// step, and its logits [vocab], or its hidden state [hidden] where that is wanted, which are valid until emit returns. Results do
// not depend on what else is in the batch.
//
// It ends early, with the context's error, between blocks; sequences are then
// as they were before.
func (m *Model) Forward(ctx context.Context, steps []Step, emit func(step, token int, logits []float32) error) error {
	before := make([]int, len(steps))
	for i, st := range steps {
		before[i] = st.Seq.tokens
		if st.Seq.model != m {
			return fmt.Errorf("step %d: the sequence belongs to another model", i)
		}
		if n := st.Seq.tokens + len(st.IDs); n > m.Context {
			return &ContextError{Tokens: n, Context: m.Context}
		}
		for _, id := range st.IDs {
			if id < 0 || id >= m.Config.VocabSize {
				return fmt.Errorf("token id %d is outside the vocabulary of %d", id, m.Config.VocabSize)
			}
		}
		st.Seq.want = st.Seq.tokens + len(st.IDs)
		for _, other := range steps[:i] {
			if other.Seq == st.Seq {
				return fmt.Errorf("step %d: the sequence appears twice in one batch", i)
			}
		}
	}
	tokens, grows := 0, false
	for _, st := range steps {
		tokens += st.Seq.want
		grows = grows || len(st.Seq.blocks) > 0 && st.Seq.want > st.Seq.blocks[0].Capacity()
	}
	if grows {
		if err := m.checkMemory(tokens, fmt.Sprintf("a batch of %d sequences with %d tokens together", len(steps), tokens)); err != nil {
			return err
		}
	}
	for _, st := range steps {
		if err := st.Seq.room(); err != nil {
			return err
		}
	}
	err := m.forward(ctx, steps, emit)
	if err != nil {
		for i, st := range steps {
			st.Seq.tokens = before[i]
		}
	}
	return err
}

// ContextError says that a sequence would outgrow the model's context.
type ContextError struct{ Tokens, Context int }

func (e *ContextError) Error() string {
	return fmt.Sprintf("a sequence of %d tokens does not fit the context of %d; shorten the text or ask for a larger context", e.Tokens, e.Context)
}

func (m *Model) forward(ctx context.Context, steps []Step, emit func(step, token int, logits []float32) error) error {
	step, offset := 0, 0
	for step < len(steps) {
		at := m.s.at[:0]
		for len(at) < chunkTokens && step < len(steps) {
			st := steps[step]
			if offset == len(st.IDs) {
				step, offset = step+1, 0
				continue
			}
			at = append(at, place{seq: st.Seq, step: step, offset: offset, position: st.Seq.tokens,
				emit: st.Want == WantAll || st.Want == WantLast && offset == len(st.IDs)-1, hidden: st.Want == WantHidden})
			st.Seq.tokens++
			offset++
		}
		m.s.at = at
		if len(at) == 0 {
			return nil
		}
		if err := m.chunk(ctx, steps, at); err != nil {
			return err
		}
		if err := m.emit(at, emit); err != nil {
			return err
		}
		if err := m.emitHidden(at, emit); err != nil {
			return err
		}
	}
	return nil
}

// chunk runs the blocks over one batch of rows, leaving the result in s.x.
func (m *Model) chunk(ctx context.Context, steps []Step, at []place) error {
	s, n := &m.s, len(at)
	m.reserve(n)
	m.embedding(s.x, n, func(i int) int { return steps[at[i].step].IDs[at[i].offset] })
	var before *layer
	for i := range m.layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		l, err := m.layer(i)
		if err != nil {
			return err
		}
		m.block(l, i, at, before)
		m.release(i)
		before = l
	}
	if before != nil {
		m.added(before, n)
	}
	return nil
}

// added adds what the last block gave for n tokens to the stream.
func (m *Model) added(last *layer, n int) {
	h := m.Config.HiddenSize
	if last.norms.MLPPost == nil && m.Config.ResidualScale == 0 {
		m.pool.AddTo(m.s.x, m.s.out)
		return
	}
	m.pool.Run(n, func(t int) { m.add(m.s.x[t*h:][:h], m.s.out[t*h:][:h], last.norms.MLPPost) })
}

// add adds out, normed where there is a norm for it and scaled where the architecture
// does, to one token's stream x.
func (m *Model) add(x, out, post []float32) {
	if post != nil {
		kernel.RMSNorm(out, out, post, m.Config.NormEps)
	}
	if s := m.Config.AddedScale(); s != 1 {
		kernel.Axpy(x, s, out)
		return
	}
	kernel.AddTo(x, out)
}

// reserve makes room for n rows.
func (m *Model) reserve(n int) {
	c, s := m.Config, &m.s
	qw, kvw := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	s.x, s.norm, s.out = kernel.Grow(s.x, n*c.HiddenSize), kernel.Grow(s.norm, n*c.HiddenSize), kernel.Grow(s.out, n*c.HiddenSize)
	s.q, s.attn = kernel.Grow(s.q, n*qw), kernel.Grow(s.attn, n*qw)
	s.k, s.v = kernel.Grow(s.k, n*kvw), kernel.Grow(s.v, n*kvw)
	inner := max(c.IntermediateSize, c.Experts.DenseWidth)
	s.gate, s.up = kernel.Grow(s.gate, n*inner), kernel.Grow(s.up, n*inner)
}

// filled makes all tokens of an input that was to be made as it is needed.
func (s *scratch) filled(tokens int) {
	fill := s.fill
	if s.fill = nil; fill == nil {
		return
	}
	const each = 8
	s.pool.Run((tokens+each-1)/each, func(i int) { fill(i*each, min((i+1)*each, tokens)) })
}

// normed says that the next layers' input is the norm of s.x, after the result of
// the layers before, if there are any, has been added to it (normed by post, unless
// that is nil): as each token is needed, so that it is read once.
func (m *Model) normed(weight []float32, add bool, post []float32) {
	s, h, eps, factors := &m.s, m.Config.HiddenSize, m.Config.NormEps, m.Config.NoPreNorm
	s.fill = func(from, end int) {
		for t := from; t < end; t++ {
			x, norm := s.x[t*h:][:h], s.norm[t*h:][:h]
			if add {
				m.add(x, s.out[t*h:][:h], post)
			}
			if factors {
				copy(norm, x)
				kernel.Mul(norm, weight)
				continue
			}
			kernel.RMSNorm(norm, x, weight, eps)
		}
	}
}

// block runs one block over the rows in s.x, to which the last result of the block
// before, in s.out, is still to be added, unless that block is nil. It leaves its own
// there, for the next.
func (m *Model) block(l *layer, index int, at []place, before *layer) {
	c, s, n := m.Config, &m.s, len(at)
	var post []float32
	if before != nil {
		post = before.norms.MLPPost
	}
	m.normed(l.norms.AttnNorm, before != nil, post)
	l.inputs[llama.AttnInput].forward(s, [][]float32{s.q, s.k, s.v}, s.norm, n)
	m.attend(l, index, at)
	l.inputs[llama.OInput].forward(s, [][]float32{s.out}, s.attn, n)

	m.normed(l.norms.MLPNorm, true, l.norms.AttnPost)
	if l.mixture != nil {
		l.mixture.forward(s, l.config, n)
		return
	}
	l.inputs[llama.MLPInput].forward(s, [][]float32{s.gate, s.up}, s.norm, n)
	inner, gated := l.config.IntermediateSize, gateOf(c)
	s.fill = func(from, end int) { gated(s.gate[from*inner:end*inner], s.up[from*inner:end*inner]) }
	l.inputs[llama.DownInput].forward(s, [][]float32{s.out}, s.gate, n)
}

// emit applies the final norm and the output matrix to the rows that are
// wanted, a few at a time.
func (m *Model) emit(at []place, emit func(step, token int, logits []float32) error) error {
	c, s := m.Config, &m.s
	var rows []int
	flush := func() error {
		n := len(rows)
		m.finalNorm(rows)
		s.logits = kernel.Grow(s.logits, n*c.VocabSize)
		head, err := m.output()
		if err != nil {
			return err
		}
		head.forward(s, [][]float32{s.logits}, s.norm, n)
		if c.LogitSoftCap > 0 {
			m.pool.SoftCap(s.logits, 1, float32(c.LogitSoftCap))
		}
		for i, r := range rows {
			logits := s.logits[i*c.VocabSize:][:c.VocabSize]
			if !kernel.Finite(logits) {
				return fmt.Errorf("the logits after token %d are not finite: the model's weights or its quantization are damaged", at[r].position)
			}
			if err := emit(at[r].step, at[r].offset, logits); err != nil {
				return err
			}
		}
		rows = rows[:0]
		return nil
	}
	for i, p := range at {
		if p.emit {
			rows = append(rows, i)
		}
		if len(rows) == logitTokens {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(rows) > 0 {
		return flush()
	}
	return nil
}

// finalNorm leaves the final norm of rows of s.x in s.norm.
func (m *Model) finalNorm(rows []int) {
	s, h, n := &m.s, m.Config.HiddenSize, len(rows)
	s.norm = kernel.Grow(s.norm, n*h)
	for i, r := range rows {
		copy(s.norm[i*h:][:h], s.x[r*h:])
	}
	m.pool.RMSNorm(s.norm, s.norm[:n*h], m.norm, m.Config.NormEps, n)
}

// emitHidden hands out the final norm of the rows whose hidden state is wanted.
func (m *Model) emitHidden(at []place, emit func(step, token int, hidden []float32) error) error {
	var rows []int
	for i, p := range at {
		if p.hidden {
			rows = append(rows, i)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	m.finalNorm(rows)
	for i, r := range rows {
		hidden := m.s.norm[i*m.Config.HiddenSize:][:m.Config.HiddenSize]
		if !kernel.Finite(hidden) {
			return fmt.Errorf("the hidden state of token %d is not finite: the model's weights or its quantization are damaged", at[r].position)
		}
		if err := emit(at[r].step, at[r].offset, hidden); err != nil {
			return err
		}
	}
	return nil
}
