package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/spectrum"
)

// Shapes are architectures to measure speed on: a speed needs no checkpoint.
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

// NewRandom makes a quantized model with random weights in memory, its branch
// keeping so many components of each channel on the output axis (0: none).
func NewRandom(shape string, q artefact.Quantization, components int, o Options) (*Model, error) {
	c, ok := Shapes[shape]
	if !ok {
		return nil, fmt.Errorf("unknown shape %q; use one of %s", shape, strings.Join(ShapeNames(), ", "))
	}
	c.NormEps = 1e-5
	if err := q.Bits.Check(); err != nil {
		return nil, err
	}
	q.ActClip = 1
	m := &Model{Config: &c, Quantization: &q}
	if err := m.prepare(o); err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	fill := func(n int) []byte { // copies are as good as fresh noise for a speed
		b := make([]byte, n)
		for at := 0; at < n; {
			at += copy(b[at:], noise[rng.IntN(len(noise)/2):])
		}
		return b
	}
	linear := func(out, in, bits, group int) *artefact.Linear {
		l := &artefact.Linear{Out: out, In: in}
		l.Grid.Bits, l.Grid.Group = bits, group
		l.Tiles = fill(kernel.TileBytes(bits, out, in))
		l.Scales = make([]uint16, (out+15)/16*16*l.Grid.Groups(in))
		for i := range l.Scales {
			l.Scales[i] = 0x1400 // 2^-10
		}
		if components > 0 && bits == 4 {
			l.Branch = randomBranch(out, in, components, rng)
		}
		return l
	}
	ones := func() []float32 {
		v := make([]float32, c.HiddenSize)
		for i := range v {
			v[i] = 1
		}
		return v
	}
	for i := range m.layers {
		l := &layer{attnNorm: ones(), mlpNorm: ones()}
		for in := range llama.NumInputs {
			var layers []*artefact.Linear
			for _, w := range in.Readers() {
				out, width := w.Shape(&c)
				layers = append(layers, linear(out, width, q.Bits.Weights, q.Group))
			}
			var err error
			if l.inputs[in], err = newQuantized(layers, &q, m.bases, m.inputs[in]); err != nil {
				return nil, err
			}
		}
		m.layers[i] = l
	}
	m.norm = ones()
	m.embed = kernel.HalfMatrix{Data: make([]byte, 2*c.VocabSize*c.HiddenSize), DType: kernel.BF16, Rows: c.VocabSize, Cols: c.HiddenSize}
	for i := 0; i < len(m.embed.Data); i += 2 {
		m.embed.Data[i+1] = 0x3c | byte(i>>9&0x80) // ±2^-7
	}
	if q.Head == 8 {
		var err error
		m.head, err = newHead(linear(c.VocabSize, c.HiddenSize, 8, 0))
		return m, err
	}
	m.head = &plain{weights: []kernel.HalfMatrix{m.embed}, bias: [][]float32{nil}}
	return m, nil
}

func randomBranch(out, in, components int, rng *rand.Rand) *artefact.Branch {
	b := &artefact.Branch{Axis: spectrum.OutputChannel, Basis: "dft", Out: out, In: in}
	count := min(2*components-1, in)
	b.Tiles.Rows = out
	for t := range (out + 15) / 16 {
		b.Tiles.Count = append(b.Tiles.Count, count)
		b.Tiles.Offset = append(b.Tiles.Offset, t*count*16)
	}
	b.Tiles.Data = make([]uint16, (out+15)/16*count*16)
	for i := range b.Tiles.Data {
		b.Tiles.Data[i] = 0x1400 | uint16(rng.Uint32())&0x83ff
	}
	return b
}

// Footprint is what a forward pass has to read and compute.
type Footprint struct {
	Weights  int64 // bytes of all linear layers and the output matrix, branch and scales included
	Branch   int64 // bytes of the branch alone
	Products int64 // multiply-adds a token in the blocks' linear layers
	Head     int64 // multiply-adds of the output matrix
	KV       int64 // bytes of the cache a token of context adds
}

// Footprint counts the model's.
func (m *Model) Footprint() Footprint {
	var f Footprint
	count := func(p projection) (products int64) {
		switch l := p.(type) {
		case *plain:
			for _, w := range l.weights {
				f.Weights += int64(len(w.Data))
				products += int64(w.Rows) * int64(w.Cols)
			}
		case *quantized:
			for i, w := range l.matrices {
				f.Weights += int64(len(w.Tiles)) + 2*int64(len(w.Scale))
				products += int64(w.Rows) * int64(w.Cols)
				if l.branches != nil {
					f.Branch += int64(l.branches[i].Bytes())
				}
			}
		}
		return products
	}
	for i := range m.layers {
		l, err := m.layer(i)
		if err != nil {
			continue // a streamed model whose files went away; Forward says so
		}
		for _, p := range l.inputs {
			f.Products += count(p)
		}
	}
	if head, err := m.output(); err == nil {
		f.Head = count(head)
	}
	f.Weights += f.Branch
	cache := m.newCache()
	f.KV = cache.PositionBytes() * int64(m.Config.Layers)
	return f
}

// SkipBranch leaves the branch out of the computation, to measure what it costs.
func (m *Model) SkipBranch(skip bool) { m.s.skipBranch = skip }
