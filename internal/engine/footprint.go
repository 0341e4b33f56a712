package engine

import (
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/llama"
)

// Footprint is the amount of memory and arithmetic in the forward pass of one token.
type Footprint struct {
	Weights  int64 // bytes of all linear layers and the output matrix, branch and scales included
	Branch   int64 // bytes of the branch alone
	Products int64 // multiply-adds per token in the blocks' linear layers
	Tail     int64 // part of Products: the last block's layers after attention, which a prompt needs for its last token only
	Head     int64 // multiply-adds of the output matrix
	KV       int64 // bytes that a token of context adds to the KV cache

	Parts map[string]int64 // bytes of Weights by the part of a pass that reads them: see [Model.Measure]; without the mixtures' routers
}

// Footprint counts the model's.
func (m *Model) Footprint() Footprint {
	f := Footprint{Parts: map[string]int64{}}
	for i := range m.layers {
		l, err := m.layer(i)
		if err != nil {
			continue // a streamed model whose files were removed; Forward returns the error
		}
		var attention int64 // products before attention
		for input, p := range l.inputs {
			f.Products += f.count(llama.Input(input).String(), p) // 0 for a mixture, which is counted below
			if llama.Input(input) == llama.AttnInput {
				attention = f.Products
			}
		}
		if l.mixture != nil {
			f.addMixture(l.mixture, l.config.Experts.Used)
		}
		f.Tail = f.Products - attention // of the last block in the end
	}
	if head, err := m.output(); err == nil {
		f.Head = f.count(PartHead, head)
	}
	f.KV = m.CacheBytes()
	return f
}

// count adds the bytes of a projection, which the named part of a pass reads, and returns its
// multiply-adds for a token.
func (f *Footprint) count(part string, p projection) (products int64) {
	var bytes, branch, basis int64
	switch l := p.(type) {
	case *projections:
		for _, p := range l.parts {
			products += f.count(part, p)
		}
	case *plain:
		for _, w := range l.weights {
			bytes += int64(len(w.Data))
			products += int64(w.Rows) * int64(w.Cols)
		}
	case *quantized:
		for i, w := range l.matrices {
			bytes += int64(w.Bytes())
			products += int64(w.Rows) * int64(w.Cols)
			branch += l.branchBytes(i)
		}
		for _, w := range l.whole {
			bytes += int64(len(w.weights.Data))
			products += int64(w.weights.Rows) * int64(w.weights.Cols)
		}
		if l.project != nil { // a stored basis, which the layers share; computed bases are not read from memory
			basis = int64(l.project.Bytes())
		}
	}
	f.Branch += branch + basis
	f.Weights += bytes + branch + basis
	f.Parts[part] += bytes + branch
	f.Parts[PartInputs] += basis
	return products
}

// addMixture adds what a token reads and computes of a mixture: the router, and used experts,
// which are all of the same size.
func (f *Footprint) addMixture(x *mixture, used int) {
	f.Weights += 4 * int64(len(x.router))
	f.Products += int64(len(x.router))
	for e := range used {
		f.Products += f.count(llama.MLPInput.String(), x.gateUp[e]) + f.count(llama.DownInput.String(), x.down[e])
	}
}

// CacheBytes returns the bytes that a token of context adds to the KV cache.
func (m *Model) CacheBytes() int64 {
	cache := m.newCache()
	return cache.PositionBytes() * int64(m.Config.Layers)
}

// SkipBranch leaves the branch out of the computation, to measure what it costs.
func (m *Model) SkipBranch(skip bool) { m.s.skipBranch = skip }

// Transformed reports whether the model has run-time transforms.
func (m *Model) Transformed() bool {
	return m.Quantization != nil && m.Quantization.Transforms != (artefact.Transforms{})
}

// SkipTransforms leaves the run-time transforms out of the computation, to measure what they
// cost.
func (m *Model) SkipTransforms(skip bool) { m.s.skipTransforms = skip }

// branchBytes returns the bytes of layer i's branch without a stored basis.
func (l *quantized) branchBytes(i int) int64 {
	switch {
	case i >= len(l.branches):
		return 0
	case l.branches[i] != nil:
		return int64(l.branches[i].Bytes())
	case l.bytes[i] != nil:
		return int64(len(l.bytes[i].Codes) + 4*len(l.bytes[i].Scale))
	}
	return 2 * int64(len(l.tiles[i].Data))
}
