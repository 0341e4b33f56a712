package engine

import (
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/spectrum"
)

// projection is a set of linear layers that read the same activations, which are transformed
// and quantized once for all of them.
type projection interface {
	// forward writes ys[i] [tokens × out_i] from x [tokens × in]. If s.fill is set, it
	// computes x first.
	forward(s *scratch, ys [][]float32, x []float32, tokens int)
}

// plain is a projection in full precision. The weights are used in place in the mapped
// checkpoint.
type plain struct {
	weights []float.HalfMatrix
	bias    [][]float32
}

func (l *plain) forward(s *scratch, ys [][]float32, x []float32, tokens int) {
	s.filled(tokens)
	s.meter.At(s.part, 0)
	for i, w := range l.weights {
		float.MatMulHalf(s.pool, ys[i], w.Rows, x, w.Cols, w, tokens)
		float.AddEachOn(s.pool, ys[i], l.bias[i], tokens)
	}
}

// mapped is a projection of one layer in full precision that lets go of the weights' pages
// after each use.
type mapped struct{ *llama.Mapped }

func (l mapped) forward(s *scratch, ys [][]float32, x []float32, tokens int) {
	s.filled(tokens)
	s.meter.At(s.part, 0)
	l.Forward(s.pool, ys[0], x, tokens)
}

// quantized is a projection of quantized layers: products of integer matrices, plus the 16-bit
// branches.
type quantized struct {
	in       int
	act      integer.ActGrid // with 16 bits, activations are not quantized
	group    int             // number of inputs whose products share a scale
	matrices []*integer.Matrix
	widths   []int // outputs of each layer
	bias     [][]float32
	branches []*artefact.Branch  // nil: no layer has a branch
	tiles    []*branch.HalfTiles // coefficients of branches on the output axis; nil for those that are truncated at run time or in 8 bits
	bytes    []*branch.ByteTiles // coefficients of branches in 8 bits; nil if there are none
	spectral spectrum.Basis      // output axis: the basis of the input
	project  *branch.Projection  // output axis: projection of the input on the basis's lowest vectors
	count    int                 // number of those vectors: the most that any layer needs
	inverse  []inverse           // input axis, per layer

	transform linalg.Transform // of the input, before everything else; nil if there is none
	whole     []wholeLayer     // layers in 16 bits
	at        []int            // index in ys that each quantized layer writes
}

// wholeLayer is a layer in 16 bits beside quantized ones.
type wholeLayer struct {
	at      int // index in ys that it writes
	weights float.HalfMatrix
	bias    []float32
}

// inverse transforms coefficients back to a layer's outputs [count × out].
type inverse struct {
	basis []float32
	count int
}

// basisCache computes the vectors of Fourier and cosine bases, which are not stored, once for
// all layers.
type basisCache struct {
	vectors     map[basisKey][]float32
	projections map[basisKey]*branch.Projection
}

type basisKey struct {
	name     string
	n, count int
}

func newBasisCache() *basisCache {
	return &basisCache{map[basisKey][]float32{}, map[basisKey]*branch.Projection{}}
}

// get returns the lowest vectors [count × n] of a basis; nil for count 0.
func (c *basisCache) get(name string, n, count int) ([]float32, error) {
	if count == 0 {
		return nil, nil
	}
	key := basisKey{name, n, count}
	if m, ok := c.vectors[key]; ok {
		return m, nil
	}
	b, err := spectrum.NewBasis(name, n)
	if err != nil {
		return nil, err
	}
	c.vectors[key] = spectrum.Matrix(b, count)
	return c.vectors[key], nil
}

// projection returns the kernel's form of these vectors.
func (c *basisCache) projection(name string, n, count int) (*branch.Projection, error) {
	key := basisKey{name, n, count}
	if p, ok := c.projections[key]; ok {
		return p, nil
	}
	b, err := spectrum.NewBasis(name, n)
	if err != nil {
		return nil, err
	}
	c.projections[key] = branch.NewProjection(spectrum.Matrix(b, count), count, n)
	return c.projections[key], nil
}

func newQuantized(layers []*artefact.Linear, q *artefact.Quantization, bases *basisCache, transform linalg.Transform) (*quantized, error) {
	l := &quantized{in: layers[0].In, act: q.ActGrid(), group: q.ProductGroup(), transform: transform}
	for i, layer := range layers {
		if layer.Whole.Rows > 0 {
			l.whole = append(l.whole, wholeLayer{i, layer.Whole, layer.Bias})
			continue
		}
		l.at = append(l.at, i)
		m, err := layer.Matrix()
		if err != nil {
			return nil, err
		}
		l.matrices = append(l.matrices, m)
		l.widths = append(l.widths, layer.Out)
		l.bias = append(l.bias, layer.Bias)
		if b := layer.Branch; b != nil && b.Subspace != nil {
			// Only the coefficients of the artefact's branch are needed: the
			// projection has its own copy of the basis.
			l.branches, l.count = append(l.branches, nil), b.Subspace.Count
			if b.Codes != nil {
				l.tiles, l.bytes = append(l.tiles, nil), append(l.bytes, b.Codes)
			} else {
				tiles := b.Tiles
				l.tiles, l.bytes = append(l.tiles, &tiles), append(l.bytes, nil)
			}
			if l.project == nil {
				l.project = b.Subspace.Projection()
			}
		} else if b != nil {
			l.branches = append(l.branches, b)
			if b.Axis == spectrum.OutputChannel {
				l.count = max(l.count, b.MaxCoefficients())
				if l.tiles = append(l.tiles, nil); b.Truncate == 0 {
					l.tiles[len(l.tiles)-1] = &b.Tiles
				}
				continue
			}
			inv := inverse{count: b.MaxCoefficients()}
			if inv.basis, err = bases.get(b.Basis, b.Out, inv.count); err != nil {
				return nil, err
			}
			l.inverse = append(l.inverse, inv)
		}
	}
	if l.count > 0 && l.project == nil {
		var err error
		name := l.branches[0].Basis
		if l.spectral, err = spectrum.NewBasis(name, l.in); err != nil {
			return nil, err
		}
		if l.project, err = bases.projection(name, l.in, l.count); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *quantized) forward(s *scratch, ys [][]float32, x []float32, tokens int) {
	if l.act.Bits < 16 && len(l.whole) == 0 {
		l.multiply(s, ys, x, tokens, l.prepare(s, x))
		return
	}
	s.filled(tokens)
	if l.transform != nil && !s.skipTransforms {
		s.meter.At(PartInputs, 0)
		l.transform.Apply(s.pool, x[:tokens*l.in], tokens)
	}
	s.meter.At(s.part, 0)
	for _, w := range l.whole {
		float.MatMulHalf(s.pool, ys[w.at], w.weights.Rows, x, l.in, w.weights, tokens)
		float.AddEachOn(s.pool, ys[w.at], w.bias, tokens)
	}
	if len(l.whole) > 0 {
		s.ys = s.ys[:0]
		for _, i := range l.at {
			s.ys = append(s.ys, ys[i])
		}
		ys = s.ys
	}
	if len(l.matrices) > 0 {
		l.multiply(s, ys, x, tokens, nil)
	}
}

// leastGated is the fewest tokens for which gate and up are multiplied together.
const leastGated = 32

// forwardGated sets y [tokens × width] to activation(gate·x)·(up·x) in one pass, where the layers are
// gate and up, and reports whether it did: not of few tokens, nor where anything is added to
// the integer products.
func (l *quantized) forwardGated(s *scratch, y, x []float32, tokens int, activation integer.Gating) bool {
	added := func(b []float32) bool { return b != nil }
	if tokens < leastGated || l.act.Bits == 16 || len(l.matrices) != 2 || len(l.whole) > 0 || l.count > 0 || len(l.branches) > 0 || slices.ContainsFunc(l.bias, added) {
		return false
	}
	s.meter.At(PartInputs, 0)
	s.acts.QuantizeProject(s.pool, x, l.in, tokens, l.in, l.act, l.group, nil, 0, nil, l.prepare(s, x))
	s.meter.At(s.part, 0)
	integer.MulGated(s.pool, y, l.widths[0], l.matrices[0], l.matrices[1], &s.acts, activation)
	return true
}

// prepare returns what is called for tokens just before they are quantized, if none of the layers is in 16
// bits: it computes the rows of x, if that was deferred, and transforms them.
func (l *quantized) prepare(s *scratch, x []float32) func(from, end int) {
	fill := s.fill
	s.fill = nil
	if l.transform == nil || s.skipTransforms {
		return fill
	}
	return func(from, end int) {
		if fill != nil {
			fill(from, end)
		}
		l.transform.Apply(nil, x[from*l.in:end*l.in], end-from)
	}
}

// multiply sets ys to the products of the quantized layers and x, with their branches and
// biases. before, if not nil, is called for tokens just before they are quantized.
func (l *quantized) multiply(s *scratch, ys [][]float32, x []float32, tokens int, before func(from, end int)) {
	var fused branch.Terms // branches that the integer products add themselves
	var project *branch.Projection
	if l.count > 0 && !s.skipBranch {
		s.z = shape.Grow(s.z, tokens*l.count)
		fused = branch.Terms{Tiles: l.tiles, Bytes: l.bytes, Z: s.z, Ldz: l.count}
		project = l.project
	}
	if l.act.Bits < 16 {
		s.meter.At(PartInputs, 0)
		s.acts.QuantizeProject(s.pool, x, l.in, tokens, l.in, l.act, l.group, s.z, l.count, project, before)
		s.meter.At(s.part, 0)
		integer.MulAll(s.pool, ys, l.widths, l.matrices, &s.acts, fused)
	} else {
		if project != nil {
			s.meter.At(PartInputs, 0)
			branch.Project(s.pool, s.z, l.count, project, x, l.in, tokens)
			s.meter.At(s.part, 0)
		}
		integer.MulFloatAll(s.pool, ys, l.widths, l.matrices, x, l.in, tokens, fused)
	}
	if s.skipBranch {
		return
	}
	for i, b := range l.branches {
		switch {
		case b == nil:
		case b.Axis == spectrum.InputChannel:
			l.addColumns(s, ys[i], b, l.inverse[i], x, tokens)
		case l.tiles[i] == nil:
			l.addTruncated(s, ys[i], b, tokens)
		}
	}
	for i, b := range l.bias {
		float.AddEachOn(s.pool, ys[i], b, tokens)
	}
}

// addTruncated adds the branch C·z. Of each truncation group of the projection z it uses only
// the prefix that has the share of ‖z‖² that the artefact asks for.
func (l *quantized) addTruncated(s *scratch, y []float32, b *artefact.Branch, tokens int) {
	cut := b.Tiles
	for t := range tokens {
		z := s.z[t*l.count:][:l.count]
		cut.Count = s.counts[:0]
		for _, n := range b.Tiles.Count {
			k := spectrum.Prefix(z, l.spectral, b.Truncate, n)
			cut.Count = append(cut.Count, k)
			s.kept += int64(k)
			s.full += int64(n)
		}
		s.counts = cut.Count
		branch.MulHalfTiles(s.pool, y[t*b.Out:], b.Out, cut, z, l.count, 1)
	}
}

// addColumns adds the branch on the input axis: the columns kept whole, and the inverse
// transform of the summed coefficients of the others.
func (l *quantized) addColumns(s *scratch, y []float32, b *artefact.Branch, inv inverse, x []float32, tokens int) {
	s.u = shape.Grow(s.u, tokens*inv.count)
	clear(s.u)
	s.pool.Run(tokens, func(t int) {
		row, u, out := x[t*l.in:][:l.in], s.u[t*inv.count:][:inv.count], y[t*b.Out:][:b.Out]
		for i, c := range b.Columns {
			coeff := b.Coeff[b.Offset[i]:b.Offset[i+1]]
			float.AxpyF16(u[:len(coeff)], row[c], coeff)
		}
		for i, c := range b.FullColumns {
			float.AxpyF16(out, row[c], b.Full[i*b.Out:][:b.Out])
		}
	})
	if inv.count > 0 {
		float.MatMulNN(s.pool, y, b.Out, s.u, inv.count, inv.basis, b.Out, tokens, b.Out, inv.count, true)
	}
}
