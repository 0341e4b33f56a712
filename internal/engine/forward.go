package engine

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/plural"
)

// chunkTokens is the largest number of tokens that go through the blocks together, and
// logitTokens the largest number whose logits are in memory together. Neither changes a result.
const (
	chunkTokens = 512
	logitTokens = 32
)

// Want selects which logits a caller needs.
type Want int

// Logits of no token, of the last token, or of every token; WantHidden asks for the input of
// the output matrix (the last block's output after the final norm) of every token instead.
const (
	WantNone Want = iota
	WantLast
	WantAll
	WantHidden
)

// Step is the new tokens of one sequence.
type Step struct {
	Seq  *Sequence
	IDs  []int
	Want Want
}

// scratch is the memory of one forward pass, reused.
type scratch struct {
	pool   *parallel.Pool
	acts   integer.Activations
	z, u   []float32
	ys     [][]float32
	counts []int

	mixture mixtureScratch
	fill    func(from, end int) // computes rows [from, end) of the next layers' input, each by itself; nil: they are computed already

	meter *meter.Meter // measures the parts of a pass; nil: not measured
	part  string       // whose layers are computed, for the meter

	kept, full int64 // run-time truncation: coefficients kept, and all coefficients

	skipBranch, skipTransforms bool // for measurements: leave out the branch (and biases), or the transforms

	x, norm, q, k, v, attn, out, gate, up []float32
	attention                             kv.Schedule
	logits                                []float32
	at                                    []place
}

// place is the sequence and the position of a row of the batch.
type place struct {
	seq      *Sequence
	step     int // index into the steps
	offset   int // index into the step's tokens
	position int
	emit     bool // its logits are asked for
	hidden   bool // its last hidden state is asked for
}

// wanted reports whether something is asked for that the last block's output is needed for.
func (p place) wanted() bool { return p.emit || p.hidden }

// Forward appends tokens to sequences, many at once. For each token whose logits are asked for,
// emit is called with the step, the index of the token in the step, and its logits [vocab] or
// hidden state [hidden], which are valid until emit returns. Results do not depend on what else
// is in the batch.
//
// If the context ends, it returns the context's error after the present block, and the
// sequences are unchanged.
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
		if err := m.checkMemory(tokens, fmt.Sprintf("a batch of %s with %s together", plural.Of(len(steps), "sequence"), plural.Of(tokens, "token"))); err != nil {
			return err
		}
	}
	for _, st := range steps {
		if err := st.Seq.room(); err != nil {
			return err
		}
	}
	err := m.forward(ctx, steps, emit)
	m.s.meter.Stop()
	if err != nil {
		for i, st := range steps {
			st.Seq.tokens = before[i]
		}
	}
	return err
}

// ContextError is the error of a sequence that would exceed the model's context. Fields are in
// tokens.
type ContextError struct{ Tokens, Context int }

func (e *ContextError) Error() string {
	return fmt.Sprintf("a sequence of %s does not fit the context of %d; shorten the text or ask for a larger context", plural.Of(e.Tokens, "token"), e.Context)
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
		at, err := m.chunk(ctx, steps, at)
		if err != nil {
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

// chunk runs the blocks over one batch of rows. It returns the rows of which something is asked
// for; the result for these is in s.x. The others end in the last block, where only their keys and
// values are needed.
func (m *Model) chunk(ctx context.Context, steps []Step, at []place) (wanted []place, err error) {
	s, n := &m.s, len(at)
	m.reserve(n)
	s.meter.At(PartEmbedding, 0)
	m.embedding(s.x, n, func(i int) int { return steps[at[i].step].IDs[at[i].offset] })
	var before *layer
	for i := range m.layers {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := m.layer(i)
		if err != nil {
			return nil, err
		}
		at = m.block(l, i, at, before)
		m.release(i)
		before = l
	}
	if before != nil {
		s.meter.At(PartInputs, 0)
		m.added(before, len(at))
	}
	return at, nil
}

// added adds the last block's output for n tokens to the residual stream.
func (m *Model) added(last *layer, n int) {
	h := m.Config.HiddenSize
	if last.norms.MLPPost == nil && m.Config.ResidualScale == 0 {
		float.AddToOn(m.pool, m.s.x[:n*h], m.s.out[:n*h])
		return
	}
	m.pool.Run(n, func(t int) { m.add(m.s.x[t*h:][:h], m.s.out[t*h:][:h], last.norms.MLPPost) })
}

// add adds out to one token's residual stream x, after the norm post (if not nil) and the
// architecture's scale.
func (m *Model) add(x, out, post []float32) {
	if post != nil {
		float.RMSNorm(out, out, post, m.Config.NormEps)
	}
	if s := m.Config.AddedScale(); s != 1 {
		float.Axpy(x, s, out)
		return
	}
	float.AddTo(x, out)
}

// reserve grows the scratch memory to n rows.
func (m *Model) reserve(n int) {
	c, s := m.Config, &m.s
	qw, kvw := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	s.x, s.norm, s.out = shape.Grow(s.x, n*c.HiddenSize), shape.Grow(s.norm, n*c.HiddenSize), shape.Grow(s.out, n*c.HiddenSize)
	s.q, s.attn = shape.Grow(s.q, n*qw), shape.Grow(s.attn, n*qw)
	s.k, s.v = shape.Grow(s.k, n*kvw), shape.Grow(s.v, n*kvw)
	inner := max(c.IntermediateSize, c.Experts.DenseWidth)
	s.gate = shape.Grow(s.gate, n*inner)
}

// gateAndUp is where the layers gate and up write for n rows of width inner, where they are not
// multiplied together.
func (s *scratch) gateAndUp(n, inner int) [][]float32 {
	s.up = shape.Grow(s.up, n*inner)
	return [][]float32{s.gate, s.up}
}

// filled computes all rows of an input whose computation was deferred to s.fill.
func (s *scratch) filled(tokens int) {
	fill := s.fill
	if s.fill = nil; fill == nil {
		return
	}
	s.meter.At(PartInputs, 0)
	const each = 8
	s.pool.Run((tokens+each-1)/each, func(i int) { fill(i*each, min((i+1)*each, tokens)) })
}

// normed sets s.fill so that the next layers' input s.norm is computed token by token when it
// is needed, while the token is in the processor's cache: s.out, the output of the layers
// before, is added to the residual stream s.x (if add is set, after the norm post if that is
// not nil), and s.x is normed with weight.
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
				float.Mul(norm, weight)
				continue
			}
			float.RMSNorm(norm, x, weight, eps)
		}
	}
}

// block runs one block over the rows in s.x. The output of the previous block is still in s.out
// and is added first, unless before is nil. This block's own output is left in s.out likewise. It
// returns the rows that it has an output for: all of them, but in the last block only those of
// which something is asked for.
func (m *Model) block(l *layer, index int, at []place, before *layer) []place {
	c, s := m.Config, &m.s
	var post []float32
	if before != nil {
		post = before.norms.MLPPost
	}
	m.normed(l.norms.AttnNorm, before != nil, post)
	s.part = llama.AttnInput.String()
	l.inputs[llama.AttnInput].forward(s, [][]float32{s.q, s.k, s.v}, s.norm, len(at))
	at = m.attend(l, index, at)
	n := len(at)
	if n == 0 {
		return at
	}
	s.part = llama.OInput.String()
	l.inputs[llama.OInput].forward(s, [][]float32{s.out}, s.attn, n)

	m.normed(l.norms.MLPNorm, true, l.norms.AttnPost)
	s.part = llama.MLPInput.String()
	if l.mixture != nil {
		l.mixture.forward(s, l.config, n)
		return at
	}
	inner, gated := l.config.IntermediateSize, gateOf(c)
	if in, ok := l.inputs[llama.MLPInput].(*quantized); !ok || !in.forwardGated(s, s.gate, s.norm, n, gatingOf(c)) {
		l.inputs[llama.MLPInput].forward(s, s.gateAndUp(n, inner), s.norm, n)
		s.fill = func(from, end int) { gated(s.gate[from*inner:end*inner], s.up[from*inner:end*inner]) }
	}
	s.part = llama.DownInput.String()
	l.inputs[llama.DownInput].forward(s, [][]float32{s.out}, s.gate, n)
	return at
}

// keepWanted moves the rows of which something is asked for to the front of s.x and s.q, and
// returns them.
func (m *Model) keepWanted(at []place) []place {
	h, qw := m.Config.HiddenSize, m.Config.Heads*m.Config.HeadDim
	s, n := &m.s, 0
	for i, p := range at {
		if !p.wanted() {
			continue
		}
		if n < i {
			copy(s.x[n*h:][:h], s.x[i*h:][:h])
			copy(s.q[n*qw:][:qw], s.q[i*qw:][:qw])
		}
		at[n] = p
		n++
	}
	return at[:n]
}

// emit applies the final norm and the output matrix to the rows whose logits are asked for, a
// few at a time.
func (m *Model) emit(at []place, emit func(step, token int, logits []float32) error) error {
	c, s := m.Config, &m.s
	var rows []int
	flush := func() error {
		n := len(rows)
		s.meter.At(PartInputs, 0)
		m.finalNorm(rows)
		s.logits = shape.Grow(s.logits, n*c.VocabSize)
		head, err := m.output()
		if err != nil {
			return err
		}
		s.part = PartHead
		head.forward(s, [][]float32{s.logits}, s.norm, n)
		s.meter.At(PartLogits, 0)
		if c.LogitSoftCap > 0 {
			float.SoftCapOn(m.pool, s.logits, 1, float32(c.LogitSoftCap))
		}
		for i, r := range rows {
			logits := s.logits[i*c.VocabSize:][:c.VocabSize]
			if !float.Finite(logits) {
				return fmt.Errorf("the logits after token %d are not finite (NaN or infinite): the model's weights or its quantization are damaged; specquant inspect names such a weight, if there is one", at[r].position)
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

// finalNorm writes the final norm of rows of s.x to s.norm.
func (m *Model) finalNorm(rows []int) {
	s, h, n := &m.s, m.Config.HiddenSize, len(rows)
	s.norm = shape.Grow(s.norm, n*h)
	for i, r := range rows {
		copy(s.norm[i*h:][:h], s.x[r*h:])
	}
	float.RMSNormOn(m.pool, s.norm, s.norm[:n*h], m.norm, m.Config.NormEps, n)
}

// emitHidden calls emit with the final norm of the rows whose hidden state is asked for.
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
	m.s.meter.At(PartInputs, 0)
	m.finalNorm(rows)
	m.s.meter.At(PartLogits, 0)
	for i, r := range rows {
		hidden := m.s.norm[i*m.Config.HiddenSize:][:m.Config.HiddenSize]
		if !float.Finite(hidden) {
			return fmt.Errorf("the hidden state of token %d is not finite: the model's weights or its quantization are damaged", at[r].position)
		}
		if err := emit(at[r].step, at[r].offset, hidden); err != nil {
			return err
		}
	}
	return nil
}
