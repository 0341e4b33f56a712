package engine

import "github.com/specquant/specquant/internal/artefact"

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
				switch b := l.branch(i); {
				case b == nil:
				case b.Subspace != nil: // read in 16 bits, whatever is on disk
					f.Branch += 2 * int64(len(b.Tiles.Data))
				default:
					f.Branch += int64(b.Bytes())
				}
			}
			for _, w := range l.whole {
				f.Weights += int64(len(w.weights.Data))
				products += int64(w.weights.Rows) * int64(w.weights.Cols)
			}
			if b := l.branch(0); b != nil && b.Subspace != nil { // one basis for all of them
				f.Branch += 2 * int64(len(b.Subspace.Vectors))
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

// Transformed says whether there are run-time transforms.
func (m *Model) Transformed() bool {
	return m.Quantization != nil && m.Quantization.Transforms != (artefact.Transforms{})
}

// SkipTransforms leaves the run-time transforms out, likewise.
func (m *Model) SkipTransforms(skip bool) { m.s.skipTransforms = skip }

// branch is the branch of the quantized layer i; nil: it has none.
func (l *quantized) branch(i int) *artefact.Branch {
	if i < len(l.branches) {
		return l.branches[i]
	}
	return nil
}
