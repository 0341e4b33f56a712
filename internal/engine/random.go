package engine

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
)

// Shapes are architectures for measuring speed, which needs no checkpoint.
var Shapes = map[string]checkpoint.Config{
	"tinyllama-1.1b": {HiddenSize: 2048, IntermediateSize: 5632, Layers: 22, Heads: 32, KVHeads: 4, HeadDim: 64, VocabSize: 32000, MaxPositions: 2048, RopeTheta: 10000},
	"llama-3.2-1b":   {HiddenSize: 2048, IntermediateSize: 8192, Layers: 16, Heads: 32, KVHeads: 8, HeadDim: 64, VocabSize: 128256, MaxPositions: 131072, RopeTheta: 500000, TieEmbeddings: true},
	"llama-3-8b":     {HiddenSize: 4096, IntermediateSize: 14336, Layers: 32, Heads: 32, KVHeads: 8, HeadDim: 128, VocabSize: 128256, MaxPositions: 8192, RopeTheta: 500000},
}

// ShapeNames lists the shapes.
func ShapeNames() []string {
	var names []string
	for n := range Shapes {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Random describes the sizes of a random model's branches, which an [artefact.Quantization]
// does not determine.
type Random struct {
	// Keep returns the number of basis vectors of an input with the given width and total
	// number of outputs of its readers (for stored bases), or the number of components that
	// each channel of a layer of that shape keeps (for Fourier bases). 0: the input has no
	// branch.
	Keep func(in llama.Input, outputs, width int) int
	// Temperature is the temperature of the channels' budgets (Fourier bases, output axis),
	// with normally distributed importance. Above 0, rows keep different numbers of
	// components and are sorted by them.
	Temperature float64
}

// NewRandom makes a quantized model of an architecture without experts, with random weights in
// memory, that has the speed of a real one of that format: bits of each layer, groups, zero
// points, transforms and branches. Its outputs are meaningless.
func NewRandom(c checkpoint.Config, q artefact.Quantization, r Random, o Options) (*Model, error) {
	c.NormEps = 1e-5
	if err := q.Bits.Check(); err != nil {
		return nil, err
	}
	if q.Branch != nil && r.Keep == nil {
		q.Branch = nil
	}
	q.ActClip = 1
	if err := q.CheckGroups(); err != nil {
		return nil, err
	}
	if err := q.CheckTables(); err != nil {
		return nil, err
	}
	m := &Model{Config: &c, Quantization: &q}
	if err := m.prepare(o); err != nil {
		return nil, err
	}
	// The weights lie in memory as those of a file do, which counts while they are read.
	m.allowLargePages(randomBytes(&c, &q))
	f := newFiller()
	for i := range m.layers {
		var err error
		if m.layers[i], err = f.layer(m, i, r); err != nil {
			return nil, err
		}
	}
	m.norm = slices.Repeat([]float32{1}, c.HiddenSize)
	return m, f.tables(m)
}

// randomBytes is about how many bytes the quantized weights take.
func randomBytes(c *checkpoint.Config, q *artefact.Quantization) (n int64) {
	size := func(out, width, bits int) { n += int64(float64(out) * float64(width) * float64(bits+1) / 8) }
	for in := range llama.NumInputs {
		for _, w := range in.Readers() {
			out, width := w.Shape(c)
			size(out, width, q.Bits.Weights)
		}
	}
	n *= int64(c.Layers)
	size(c.VocabSize, c.HiddenSize, q.Head)
	return n
}

// layer makes block i of a model.
func (f *filler) layer(m *Model, i int, r Random) (*layer, error) {
	c, q := m.Config, m.Quantization
	l := m.newLayer(i)
	for place := range checkpoint.NumNorms {
		if c.HasNorm(place) || place == checkpoint.AttnNorm || place == checkpoint.MLPNorm {
			*l.norms.At(place) = slices.Repeat([]float32{1}, c.NormWidth(place))
		}
	}
	if q.Transforms.Cache == artefact.Balanced {
		qk, err := f.keys(c)
		if err != nil {
			return nil, err
		}
		l.qk = qk
	}
	for in := range llama.NumInputs {
		layers, err := f.layers(i, in, c, q, r)
		if err != nil {
			return nil, err
		}
		m.settle(layers)
		t := l.transforms[in]
		if q.Transforms.Input(in) == artefact.Kronecker {
			if t, err = f.kronecker(in.Width(c)); err != nil {
				return nil, err
			}
		}
		if l.inputs[in], err = newQuantized(layers, q, m.bases, t); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// tables makes the embedding and the head, which may be one table.
func (f *filler) tables(m *Model) (err error) {
	c, q := m.Config, m.Quantization
	vocab, hidden := c.VocabSize, c.HiddenSize
	var head *artefact.Linear
	var embedding float.HalfMatrix
	headTable, embeddingTable := q.Tables()
	if q.Head != 16 {
		head = f.linear(vocab, hidden, headTable.Grid())
		m.settle([]*artefact.Linear{head})
	}
	switch {
	case head != nil && c.TieEmbeddings && q.SharesTables():
		m.embed, m.unturn = artefact.NewRows(head), m.turn
	case q.Embedding != 16:
		m.embed = artefact.NewRows(f.linear(vocab, hidden, embeddingTable.Grid()))
	default:
		embedding = halfTable(vocab, hidden)
		m.embed = &embedding
	}
	if head != nil {
		m.head, err = newHead(head, m.turn)
		return err
	}
	if embedding.Rows == 0 || !c.TieEmbeddings {
		embedding = halfTable(vocab, hidden)
	}
	m.head = &plain{weights: []float.HalfMatrix{embedding}, bias: [][]float32{nil}}
	return nil
}

// halfTable makes an embedding or head in 16 bits.
func halfTable(vocab, hidden int) float.HalfMatrix {
	h := float.HalfMatrix{Data: make([]byte, 2*vocab*hidden), DType: float.BF16, Rows: vocab, Cols: hidden}
	for i := 0; i < len(h.Data); i += 2 {
		h.Data[i+1] = 0x3c | byte(i>>9&0x80) // ±2^-7
	}
	return h
}

// filler makes random tensors from copies of the same noise, which is enough for measuring
// speed.
type filler struct {
	rng   *rand.Rand
	noise []byte
}

func newFiller() *filler {
	f := &filler{rng: rand.New(rand.NewPCG(1, 2)), noise: make([]byte, 1<<20)}
	for i := range f.noise {
		f.noise[i] = byte(f.rng.Uint32())
	}
	return f
}

func (f *filler) bytes(n int) []byte {
	b := make([]byte, n)
	for at := 0; at < n; {
		at += copy(b[at:], f.noise[f.rng.IntN(len(f.noise)/2):])
	}
	return b
}

// halves returns n 16-bit floats from 2^-10 to 2^-9 with random signs.
func (f *filler) halves(n int) []uint16 {
	h := make([]uint16, n)
	at := f.rng.IntN(len(f.noise) / 2)
	for i := range h {
		at = (at + 2) & (len(f.noise) - 2)
		h[i] = 0x1400 | (uint16(f.noise[at])|uint16(f.noise[at+1])<<8)&0x83ff
	}
	return h
}

// layers returns random layers of block i that read an input.
func (f *filler) layers(i int, in llama.Input, c *checkpoint.Config, q *artefact.Quantization, r Random) ([]*artefact.Linear, error) {
	var layers []*artefact.Linear
	outputs := 0
	for _, w := range in.Readers() {
		out, width := w.Shape(c)
		bits := q.LayerBits(llama.TensorPrefix(i) + w.String())
		if bits == quant.FullBits {
			h := float.HalfMatrix{Data: make([]byte, 2*out*width), DType: float.F16, Rows: out, Cols: width}
			for k, v := range f.halves(out * width) {
				h.Data[2*k], h.Data[2*k+1] = byte(v), byte(v>>8)
			}
			layers = append(layers, &artefact.Linear{Out: out, In: width, Whole: h})
			continue
		}
		layers = append(layers, f.linear(out, width, q.Grid(bits)))
		outputs += out
	}
	if q.Branch == nil {
		return layers, nil
	}
	stored := q.Branch.Stored()
	var s *artefact.Subspace
	if stored {
		s = f.subspace(in.Width(c), r.Keep(in, outputs, in.Width(c)), q.Branch, outputs)
	}
	for _, l := range layers {
		if l.Whole.Rows > 0 {
			continue
		}
		if !stored {
			var err error
			if l.Branch, err = f.fourier(l.Out, l.In, r.Keep(in, l.Out, l.In), q.Branch, r.Temperature); err != nil {
				return nil, err
			}
		} else if s != nil {
			l.Branch = &artefact.Branch{Axis: spectrum.OutputChannel, Basis: q.Branch.Basis, Out: l.Out, In: l.In, Subspace: s}
			if s.Codes != nil {
				l.Branch.Codes = f.codes(l.Out, s.Count)
			} else {
				l.Branch.Tiles = f.tiles(l.Out, s.Count)
			}
		}
	}
	return layers, nil
}

func (f *filler) linear(out, in int, g quant.Grid) *artefact.Linear {
	l := &artefact.Linear{Out: out, In: in, Grid: g, Tiles: f.bytes(integer.TileBytes(g.Bits, out, in))}
	if g.Multiples {
		l.Scales = slices.Repeat([]uint16{0x1000}, integer.ScaleLen(out, in, 0)) // 2^-11
		l.Multiples = f.bytes(integer.MultiplesBytes(g.Bits, out, in, g.Group))
		return l
	}
	n := (out + 15) / 16 * 16 * g.Groups(in)
	l.Scales = slices.Repeat([]uint16{0x1400}, n) // 2^-10
	if g.Zero == quant.ZeroAsymmetric {
		zero := make([]uint16, 1)
		float.F32ToF16(zero, []float32{float32(int(1) << (g.Bits - 1))})
		l.Zeros = slices.Repeat(zero, n)
	}
	return l
}

// kronecker returns a random Kronecker transform whose two factors have sizes as equal as the
// width allows.
func (f *filler) kronecker(width int) (linalg.Transform, error) {
	a := int(math.Sqrt(float64(width)))
	for width%a != 0 {
		a--
	}
	square := func(n int) []float32 {
		m := make([]float32, n*n)
		for i := range m {
			m[i] = float32(f.rng.NormFloat64() / math.Sqrt(float64(n)))
		}
		return m
	}
	return linalg.NewKronecker(square(a), a, square(width/a), width/a)
}

// keys returns balanced keys with a matrix for each KV head, the most expensive form.
func (f *filler) keys(c *checkpoint.Config) (*llama.QK, error) {
	n := c.HeadDim
	random := func() []float32 {
		m := make([]float32, c.KVHeads*n*n)
		for i := range m {
			m[i] = float32(f.rng.NormFloat64() / math.Sqrt(float64(n)))
		}
		return m
	}
	keys, err := linalg.NewBlocks(random(), c.KVHeads, n, 1)
	if err != nil {
		return nil, err
	}
	queries, err := linalg.NewBlocks(random(), c.KVHeads, n, c.Heads/c.KVHeads)
	return &llama.QK{Mean: make([]float32, c.KVHeads*n), Keys: keys, Queries: queries}, err
}

// subspace returns a stored basis of count vectors of about unit length; nil for count 0.
func (f *filler) subspace(width, count int, b *artefact.BranchFormat, outputs int) *artefact.Subspace {
	if count < 1 {
		return nil
	}
	v := make([]float32, count*width)
	for i := range v {
		v[i] = float32(f.rng.NormFloat64() / math.Sqrt(float64(width)))
	}
	s := artefact.NewSubspace(v, count, width, b.Bits)
	s.Remove, s.Outputs = b.Remove, outputs
	return s
}

// codes returns random coefficients in 8 bits.
func (f *filler) codes(rows, count int) *branch.ByteTiles {
	t := &branch.ByteTiles{Rows: rows, Count: count, Codes: make([]int8, (rows+15)/16*16*count), Scale: slices.Repeat([]float32{0x1p-16}, count)}
	for i, b := range f.bytes(len(t.Codes)) {
		t.Codes[i] = max(int8(b), -127)
	}
	return t
}

// tiles returns random coefficients of rows that all keep count components.
func (f *filler) tiles(rows, count int) branch.HalfTiles {
	return f.tilesOf(rows, slices.Repeat([]int{count}, (rows+15)/16))
}

func (f *filler) tilesOf(rows int, counts []int) branch.HalfTiles {
	t := branch.HalfTiles{Rows: rows, Count: counts}
	size := 0
	for _, n := range counts {
		t.Offset = append(t.Offset, size)
		size += 16 * n
	}
	t.Data = f.halves(size)
	return t
}

// fourier returns a random branch on a Fourier basis whose channels keep the given number of
// components on average.
func (f *filler) fourier(out, in, components int, b *artefact.BranchFormat, temperature float64) (*artefact.Branch, error) {
	if components < 1 {
		return nil, nil
	}
	axis, err := spectrum.ParseAxis(b.Axis)
	if err != nil {
		return nil, err
	}
	length := in
	if axis == spectrum.InputChannel {
		length = out
	}
	basis, err := spectrum.NewBasis(b.Basis, length)
	if err != nil {
		return nil, err
	}
	coefficients := func(k int) int { // of k components
		if b.Basis == "dct" {
			return min(k, length)
		}
		return min(max(0, 2*k-1), length)
	}
	branch := &artefact.Branch{Axis: axis, Basis: b.Basis, Out: out, In: in, Truncate: b.Truncate}
	count := coefficients(components)
	switch {
	case axis == spectrum.InputChannel:
		for c := range in {
			branch.Columns = append(branch.Columns, int32(c))
			branch.Offset = append(branch.Offset, int32(c*count))
		}
		branch.Offset = append(branch.Offset, int32(in*count))
		branch.Coeff = f.halves(in * count)
	case temperature == 0:
		branch.Tiles = f.tiles(out, count)
	default:
		score := make([]float64, out)
		for i := range score {
			score[i] = f.rng.NormFloat64()
		}
		kept := spectrum.Budget{Mean: float64(components), Tau: temperature, Width: in}.Allocate(score, basis.Components())
		slices.SortFunc(kept, func(a, b int) int { return b - a })
		var counts []int
		for group := range slices.Chunk(kept, 16) { // a group shares its mean
			sum := 0
			for _, n := range group {
				sum += n
			}
			counts = append(counts, coefficients((sum+len(group)/2)/len(group)))
		}
		branch.Tiles = f.tilesOf(out, counts)
		for _, r := range f.rng.Perm(out) {
			branch.Tiles.Order = append(branch.Tiles.Order, int32(r))
		}
	}
	return branch, nil
}
