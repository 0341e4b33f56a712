// Package engine runs models: a quantized artefact with integer arithmetic, a checkpoint in
// full precision, or a GGUF file, all memory-mapped. It depends on the format of the artefact
// but on no quantization method.
package engine

import (
	"fmt"
	"path/filepath"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
)

// defaultContext is the largest context, in tokens, unless the caller asks for more. (Tables
// and caches for the 131072 tokens of a Llama 3.1 would take much memory.)
const defaultContext = 8192

// Options say how a model is opened. The zero value is ready for use.
type Options struct {
	Pool    *parallel.Pool // the threads to use; nil: only the calling goroutine
	Context int            // most tokens of a sequence; 0: the model's own, at most 8192
	// Stream reads each block from the file whenever it is needed and releases it
	// afterwards, which takes little memory but is slow.
	Stream bool
	// KV is the bits of the cache of a model that has no quantized one of its own: 4 or 8,
	// as quantized models have; 0 or 16: none.
	KV int
}

// Model is an open model. Its methods may be called by one goroutine at a time.
type Model struct {
	Checkpoint   *checkpoint.Checkpoint
	Config       *checkpoint.Config
	Quantization *artefact.Quantization // nil: full precision
	Context      int                    // most tokens of a sequence

	pool     *parallel.Pool
	rope     *llama.Rope
	local    *llama.Rope // for blocks with a sliding window if their RoPE base differs; otherwise nil
	layers   []*layer
	stream   bool
	norm     []float32
	embed    rows
	turn     linalg.Transform // of the output matrix's input; nil: none
	unturn   linalg.Transform // inverse of turn, applied to embeddings if they are rows of a transformed output matrix; nil: not needed
	head     projection       // nil until it is made from headRead, when it is first needed
	headRead *artefact.Linear
	ggufBits quant.Bits // for a GGUF file with quantized weights, see [ggufBitsOf]; otherwise zero
	kvBits   int        // of the cache; 16: as float32
	bases    *basisCache
	qk       *llama.QK                           // transform of queries and keys for all blocks; nil if there is none or each block has its own
	inputs   [][llama.NumInputs]linalg.Transform // shared by all blocks of a kind (see [checkpoint.Config.Kinds]), where they are the same
	pages    largePages
	s        scratch
}

// rows is a matrix of which single rows are read: the embedding, in 16 or 32 bits or quantized.
type rows interface {
	// Row writes row r to dst, which has the matrix's width. Several goroutines may call it at once.
	Row(dst []float32, r int)
}

// layer is one block.
type layer struct {
	norms  llama.Norms
	rope   *llama.Rope // nil: no RoPE
	window int         // sliding window in tokens; 0: attention over all tokens
	inputs [llama.NumInputs]projection
	read   [llama.NumInputs][]*artefact.Linear // layers that are read but not prepared yet
	qk     *llama.QK                           // nil: nothing

	config     *checkpoint.Config // the config of this block
	transforms *[llama.NumInputs]linalg.Transform
	mixture    *mixture // experts, which replace the last two inputs; nil: an ordinary MLP
}

// Open opens the folder of an artefact or of a checkpoint, or a GGUF file.
func Open(dir string, o Options) (*Model, error) {
	ck, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	m, err := New(ck, o)
	if err != nil {
		ck.Close()
		return nil, err
	}
	return m, nil
}

// New makes a model of an open folder, which [Model.Close] will close.
func New(ck *checkpoint.Checkpoint, o Options) (*Model, error) {
	m := &Model{Checkpoint: ck, Config: &ck.Config, stream: o.Stream}
	c := m.Config
	if c.Quantization != nil {
		q, err := artefact.ParseQuantization(c.Quantization, filepath.Join(ck.Dir, "config.json"))
		if err != nil {
			return nil, err
		}
		m.Quantization = q
	} else if err := ck.Check(); err != nil {
		return nil, err
	}
	if ck.Quantized() {
		m.ggufBits = ggufBitsOf(ck)
	}
	if !m.stream {
		m.allowLargePages(ck.Bytes())
	}
	ck.Release() // release the pages that Open has read to verify checksums
	if err := m.prepare(o); err != nil {
		return nil, err
	}
	var err error
	if m.norm, err = llama.OutputGain(ck); err != nil {
		return nil, err
	}
	if m.embed, err = m.loadEmbedding(); err != nil {
		return nil, err
	}
	if m.head, err = m.loadHead(); err != nil {
		return nil, err
	}
	if !m.stream {
		for i := range m.layers {
			if m.layers[i], err = m.load(i); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// prepare sets up everything that does not depend on the weights.
func (m *Model) prepare(o Options) error {
	c := m.Config
	switch own := m.Bits().KV; {
	case o.KV != 0 && o.KV != 4 && o.KV != 8 && o.KV != 16:
		return fmt.Errorf("a cache of %s is asked for, expected 4, 8 or 16", plural.Of(o.KV, "bit"))
	case o.KV != 0 && own == 16:
		m.kvBits = o.KV
	default:
		m.kvBits = own
	}
	m.Context = o.Context
	if m.Context <= 0 {
		m.Context = min(c.MaxPositions, defaultContext)
		if s := c.RopeScaling; s != nil && s.Kind == "longrope" { // with a longer context, short texts too would get the long texts' factors
			m.Context = min(m.Context, s.OriginalMaxPositions)
		}
	}
	if m.Context > c.MaxPositions && c.RopeScaling == nil {
		return fmt.Errorf("a context of %s is asked for; the model was made for %d", plural.Of(m.Context, "token"), c.MaxPositions)
	}
	if o.Context > 0 {
		if err := m.checkMemory(m.Context, fmt.Sprintf("a context of %s", plural.Of(m.Context, "token"))); err != nil {
			return err
		}
	}
	m.rope, m.local = llama.NewRope(c, m.Context), llama.NewLocalRope(c, m.Context)
	m.pool, m.s.pool = o.Pool, o.Pool
	m.bases = newBasisCache()
	m.layers = make([]*layer, c.Layers)
	m.inputs = make([][llama.NumInputs]linalg.Transform, len(c.Kinds()))
	if m.Quantization == nil {
		return nil
	}
	t := m.Quantization.Transforms
	var err error
	if m.qk, err = t.QK(c); err != nil {
		return err
	}
	if m.turn, err = t.HeadTransform(c); err != nil {
		return err
	}
	for kind, block := range c.Kinds() {
		for in := range llama.NumInputs {
			if name := t.Input(in); name != artefact.Kronecker { // Kronecker transforms are different in each block
				if m.inputs[kind][in], err = artefact.NewTransform(name, in, c.Of(block)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// embedding writes the embeddings of n tokens to x [n × hidden]; id(i) is the i-th token.
func (m *Model) embedding(x []float32, n int, id func(i int) int) {
	h := m.Config.HiddenSize
	const each = 16 // tokens
	m.pool.Run(shape.CeilDiv(n, each), func(j int) {
		for i := j * each; i < min(n, (j+1)*each); i++ {
			m.embed.Row(x[i*h:][:h], id(i))
		}
	})
	if m.unturn != nil {
		m.unturn.ApplyT(m.pool, x[:n*h], n)
	}
	llama.ScaleEmbeddings(m.Config, x[:n*h])
}

// matrix returns a matrix [vocab × hidden] in its stored type.
func (m *Model) matrix(name string) (float.HalfMatrix, error) {
	h, err := llama.Half(m.Checkpoint, name)
	if c := m.Config; err == nil && (h.Rows != c.VocabSize || h.Cols != c.HiddenSize) {
		err = fmt.Errorf("%s: tensor %s: has shape [%d %d], expected [%d %d]", m.Checkpoint.Dir, name, h.Rows, h.Cols, c.VocabSize, c.HiddenSize)
	}
	return h, err
}

func (m *Model) loadEmbedding() (rows, error) {
	if q := m.Quantization; q != nil && q.Embedding != 16 {
		l, err := q.ReadEmbedding(m.Checkpoint, m.Config.VocabSize, m.Config.HiddenSize)
		if err != nil {
			return nil, err
		}
		if m.Config.TieEmbeddings && q.SharesTables() {
			m.unturn = m.turn
		}
		return artefact.NewRows(l), nil
	}
	if m.ggufBits.Weights > 0 {
		t, err := m.Checkpoint.Tensor(artefact.EmbeddingName + ".weight")
		if err != nil {
			return nil, err
		}
		if t.DType.Block() != nil {
			return ggufRows{t}, checkScales(m.pool, t)
		}
	}
	h, err := m.matrix(artefact.EmbeddingName + ".weight")
	return &h, err
}

func (m *Model) loadHead() (projection, error) {
	if m.ggufBits.Weights > 0 {
		t, err := m.Checkpoint.Tensor(artefact.HeadName + ".weight")
		if err != nil {
			return nil, err
		}
		return m.ggufProjection([]checkpoint.Tensor{t}, [][]float32{nil})
	}
	if m.Quantization == nil || m.Quantization.Head == 16 {
		if m.stream {
			return m.mappedHead()
		}
		h, err := m.matrix(artefact.HeadName + ".weight")
		return &plain{weights: []float.HalfMatrix{h}, bias: [][]float32{nil}}, err
	}
	l, err := m.Quantization.ReadHead(m.Checkpoint, m.Config.VocabSize, m.Config.HiddenSize)
	if err != nil {
		return nil, err
	}
	m.headRead = l
	return nil, nil
}

// mappedHead is the output matrix in 16 or 32 bits of a streamed model.
func (m *Model) mappedHead() (projection, error) {
	const name = artefact.HeadName + ".weight"
	if _, err := m.matrix(name); err != nil {
		return nil, err
	}
	t, err := m.Checkpoint.Tensor(name)
	if err != nil {
		return nil, err
	}
	l, err := llama.NewMapped(t)
	return mapped{l}, err
}

// output returns the output matrix, which is prepared when it is first needed.
func (m *Model) output() (projection, error) {
	var err error
	if m.head == nil {
		m.settle([]*artefact.Linear{m.headRead})
		m.head, err = newHead(m.headRead, m.turn)
		m.headRead = nil
		if len(m.pages.regions) > 0 {
			m.Checkpoint.Release()
		}
	}
	return m.head, err
}

// newHead prepares a quantized output matrix. Its input is transformed, if transform is not
// nil, and quantized to 8 bits, independently of the blocks' bits.
func newHead(l *artefact.Linear, transform linalg.Transform) (projection, error) {
	q := &artefact.Quantization{Bits: quant.Bits{Weights: l.Grid.Bits, Activations: 8}, Group: l.Grid.Group, ActClip: 1}
	if l.Grid.Multiples {
		q.Scales = quant.ScalesMultiples
	}
	return newQuantized([]*artefact.Linear{l}, q, nil, transform)
}

// Close closes the files. The model must not be used afterwards.
func (m *Model) Close() error {
	m.pages.close()
	if m.Checkpoint == nil { // made by NewRandom
		return nil
	}
	return m.Checkpoint.Close()
}

// Pool returns the threads that the model uses; nil: only the calling goroutine.
func (m *Model) Pool() *parallel.Pool { return m.pool }

// Bits returns the bits that the model runs in.
func (m *Model) Bits() quant.Bits {
	b := quant.Full
	switch {
	case m.Quantization != nil:
		b = m.Quantization.Bits
	case m.ggufBits.Weights > 0:
		b = m.ggufBits
	}
	if m.kvBits != 0 {
		b.KV = m.kvBits
	}
	return b
}

// Truncated returns the share of branch coefficients that run-time truncation has kept so far;
// 1 if it is off.
func (m *Model) Truncated() float64 {
	if m.s.full == 0 {
		return 1
	}
	return float64(m.s.kept) / float64(m.s.full)
}

// NewSequence starts an empty sequence.
func (m *Model) NewSequence() *Sequence {
	s := &Sequence{model: m, blocks: make([]kv.Cache, m.Config.Layers)}
	for i := range s.blocks {
		s.blocks[i] = m.newCache()
	}
	return s
}

// newCache returns an empty KV cache for one block of one sequence.
func (m *Model) newCache() kv.Cache {
	return kv.Cache{Bits: m.kvBits, Heads: m.Config.KVHeads, HeadDim: m.Config.HeadDim, SoftCap: float32(m.Config.AttnSoftCap)}
}

// layer returns block i. A streamed model loads it now; otherwise it is prepared when it is
// first needed, so that opening a model does not read its weights.
func (m *Model) layer(i int) (*layer, error) {
	l, err := m.layers[i], error(nil)
	if l == nil {
		if l, err = m.load(i); err != nil {
			return nil, err
		}
	}
	made := false
	for in, read := range l.read {
		if read == nil {
			continue
		}
		m.settle(read)
		made = true
		t := l.transforms[in]
		if m.Quantization.Transforms.Input(llama.Input(in)) == artefact.Kronecker {
			if t, err = artefact.ReadTransform(m.Checkpoint, llama.TensorPrefix(i), llama.Input(in), l.config, m.Quantization.Transforms); err != nil {
				return nil, err
			}
		}
		if l.inputs[in], err = newQuantized(read, m.Quantization, m.bases, t); err != nil {
			return nil, err
		}
		l.read[in] = nil
	}
	if x := l.mixture; x != nil && x.read != nil {
		for _, read := range x.read {
			m.settle(read[0])
			m.settle(read[1])
		}
		made = true
		if err = x.ready(m.Quantization, m.bases, l.transforms[llama.DownInput]); err != nil {
			return nil, fmt.Errorf("block %d: %w", i, err)
		}
	}
	if made && len(m.pages.regions) > 0 {
		m.dropBlock(i)
	}
	return l, nil
}

// release releases block i's memory pages if the model streams.
func (m *Model) release(i int) {
	if m.stream {
		m.dropBlock(i)
	}
}

// newLayer returns block i with its settings from the config.
func (m *Model) newLayer(i int) *layer {
	c := m.Config
	return &layer{qk: m.qk, window: c.Window(i), rope: llama.PickRope(c, i, m.rope, m.local), config: c.Of(i), transforms: &m.inputs[c.Kind(i)]}
}

func (m *Model) load(i int) (*layer, error) {
	ck, c := m.Checkpoint, m.Config
	prefix := llama.TensorPrefix(i)
	l := m.newLayer(i)
	var err error
	if m.Quantization != nil && m.Quantization.Transforms.Cache == artefact.Balanced {
		q, err := artefact.ReadQK(ck, prefix, c)
		if err != nil {
			return nil, err
		}
		if l.qk, err = q.Transform(c); err != nil {
			return nil, fmt.Errorf("%s: tensors of %s: %w", ck.Dir, prefix, err)
		}
	}
	if err := l.norms.Read(c, ck, i, float32(c.NormOffset)); err != nil {
		return nil, fmt.Errorf("%s: %w", ck.Dir, err)
	}
	if l.config.Experts.Count > 0 {
		if l.mixture, err = m.loadMixture(prefix, l.config); err != nil {
			return nil, err
		}
		l.mixture.transform = l.transforms[llama.MLPInput]
	}
	for in := range llama.NumInputs {
		if l.mixture != nil && isMLP(in) {
			continue
		}
		layers := expertLayers(in, -1)
		if m.ggufBits.Weights > 0 {
			l.inputs[in], err = m.ggufLayers(prefix, layers)
		} else if m.Quantization == nil {
			l.inputs[in], err = m.loadPlain(prefix, layers)
		} else {
			l.read[in], err = m.readQuantized(prefix, l.config, layers)
		}
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (m *Model) loadPlain(prefix string, layers []llama.Layer) (projection, error) {
	p := &plain{}
	for _, w := range layers {
		name := prefix + w.String()
		h, err := llama.Half(m.Checkpoint, name+".weight")
		if err != nil {
			return nil, err
		}
		var bias []float32
		if m.Checkpoint.Has(name + ".bias") {
			if bias, err = llama.Vector(m.Checkpoint, name+".bias", h.Rows); err != nil {
				return nil, err
			}
		}
		p.weights = append(p.weights, h)
		p.bias = append(p.bias, bias)
	}
	return p, nil
}

func (m *Model) readQuantized(prefix string, c *checkpoint.Config, layers []llama.Layer) ([]*artefact.Linear, error) {
	var read []*artefact.Linear
	for _, w := range layers {
		out, width := w.Shape(c)
		l, err := artefact.ReadLinear(m.Checkpoint, prefix+w.String(), out, width, m.Quantization)
		if err != nil {
			return nil, err
		}
		read = append(read, l)
	}
	return read, nil
}
