package artefact

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// The names of the two matrices that have a row for each token of the vocabulary. A
// quantized one has the tensors name + ".qweight" and name + ".scales", and with multiples name +
// ".multiples", instead of name + ".weight".
const (
	HeadName      = "lm_head"
	EmbeddingName = "model.embed_tokens"
)

// tableChunk is the number of rows that are quantized at a time: a whole matrix may not fit
// into memory.
const tableChunk = 2048

// tableClip is how the scales of such a grid are chosen. At 8 bits the grid is so fine that
// clipping brings nothing.
func tableClip(bits int) quant.Clip {
	if bits == 8 {
		return quant.ClipNone
	}
	return quant.ClipMSE
}

// Rounder writes the codes of rows of weights w [rows × columns] to q, on the grid with the
// given scales. It may change w.
type Rounder func(q []int8, w []float32, scales quant.Steps, rows int)

// QuantizeTable returns the matrix t [vocabulary × hidden] rounded to grid g, as tensors
// with the given name whose data is computed while they are written. The integers are written
// first, and what the other tensors hold, which is much less, is kept for them. prepare, if not nil,
// changes each chunk of rows first; round, if not nil, rounds them, otherwise weights are
// rounded to nearest; run executes n independent pieces of work.
func QuantizeTable(name string, t checkpoint.Tensor, g quant.Grid, prepare func(w []float32, rows int), round Rounder, run func(n int, fn func(i int))) []checkpoint.TensorSpec {
	q := &tableWriter{t: t, grid: g, prepare: prepare, round: round, run: run}
	rows, cols := t.Shape[0], t.Shape[1]
	tiles, scales := (rows+tileRows-1)/tileRows, (&Linear{In: cols, Grid: g}).rowScales()
	steps := integer.TileBytes(g.Bits, tileRows, cols) / 64
	specs := []checkpoint.TensorSpec{
		{Name: name + ".qweight", DType: checkpoint.U8, Shape: []int{tiles, steps, 64}, Write: q.integers},
		{Name: name + ".scales", DType: checkpoint.F16, Shape: []int{tiles, scales, tileRows}, Write: func(w io.Writer) error {
			return q.write(w, func() []byte { return bytesOf(q.scales) })
		}},
	}
	if g.Multiples {
		specs = append(specs, checkpoint.TensorSpec{Name: name + ".multiples", DType: checkpoint.U8, Shape: []int{integer.MultiplesBytes(g.Bits, rows, cols, g.Group)},
			Write: func(w io.Writer) error { return q.write(w, func() []byte { return q.multiples }) }})
	}
	return specs
}

// tableWriter quantizes a matrix a chunk of rows at a time.
type tableWriter struct {
	t       checkpoint.Tensor
	grid    quant.Grid
	prepare func(w []float32, rows int)
	round   Rounder
	run     func(n int, fn func(i int))

	done      bool
	scales    []uint16 // of all rows, in the stored order, as soon as the integers are written
	multiples []byte
}

// integers writes the integers of all rows, and keeps the scales and multiples.
func (q *tableWriter) integers(to io.Writer) error {
	t, g := q.t, q.grid
	rows, cols := t.Shape[0], t.Shape[1]
	q.scales, q.multiples = nil, nil
	w := make([]float32, min(rows, tableChunk)*cols)
	codes := make([]int8, len(w))
	for first := 0; first < rows; first += tableChunk {
		n := min(tableChunk, rows-first)
		if err := t.Rows(first, n).Float32(w[:n*cols]); err != nil {
			return err
		}
		if q.prepare != nil {
			q.prepare(w[:n*cols], n)
		}
		steps, err := g.Scales(w[:n*cols], n, cols, tableClip(g.Bits), q.run)
		if err != nil {
			return fmt.Errorf("%s: tensor %s: rows counted from %d: %w", t.File, t.Name, first, err)
		}
		if q.round != nil {
			q.round(codes[:n*cols], w[:n*cols], steps, n)
		} else {
			g.RTN(codes[:n*cols], w[:n*cols], steps, n, cols, q.run)
		}
		l := NewLinear(g, codes[:n*cols], steps, n, cols, nil, nil, q.run)
		if _, err := to.Write(l.Tiles); err != nil {
			return err
		}
		q.scales = append(q.scales, l.Scales...)
		if g.Multiples {
			// A chunk but the last is whole tiles: its multiples are those of the matrix, but for
			// the bytes behind, which only the last has.
			behind := integer.MultiplesBytes(g.Bits, 0, cols, g.Group)
			q.multiples = append(q.multiples[:max(0, len(q.multiples)-behind)], l.Multiples...)
		}
	}
	t.Release()
	q.done = true
	return nil
}

// write writes what was kept, which is computed now if the integers were not written before.
func (q *tableWriter) write(to io.Writer, kept func() []byte) error {
	if !q.done {
		if err := q.integers(io.Discard); err != nil {
			return err
		}
	}
	_, err := to.Write(kept())
	return err
}

// Tables are the formats of output matrix and embedding.
func (q *Quantization) Tables() (head, embedding recipe.Table) {
	return recipe.Table{Bits: q.Head, Group: q.HeadGroup, Scales: q.HeadScales}, recipe.Table{Bits: q.Embedding, Group: q.EmbeddingGroup, Scales: q.EmbeddingScales}
}

// ReadHead reads the quantized output matrix [vocabulary × hidden].
func (q *Quantization) ReadHead(src Source, vocab, hidden int) (*Linear, error) {
	head, _ := q.Tables()
	return readTable(src, HeadName, vocab, hidden, head)
}

// ReadEmbedding reads the quantized embedding [vocabulary × hidden]: its own tensors, or
// the output matrix of a tied model that stores only that.
func (q *Quantization) ReadEmbedding(src Source, vocab, hidden int) (*Linear, error) {
	if q.SharesTables() && !src.Has(EmbeddingName+".qweight") {
		return q.ReadHead(src, vocab, hidden)
	}
	_, embedding := q.Tables()
	return readTable(src, EmbeddingName, vocab, hidden, embedding)
}

// SharesTables reports whether embedding and output matrix have the same format, so that a
// tied model needs only one of them.
func (q *Quantization) SharesTables() bool {
	head, embedding := q.Tables()
	return head.Grid() == embedding.Grid() && q.Head != quant.FullBits
}

func readTable(src Source, name string, vocab, hidden int, t recipe.Table) (*Linear, error) {
	return ReadLinear(src, name, vocab, hidden, &Quantization{Bits: quant.Bits{Weights: t.Bits}, Group: t.Group, Scales: t.Scales})
}

// CheckTables checks the formats of embedding and output matrix, and sets an embedding
// without bits, as in old artefacts, to 16.
func (q *Quantization) CheckTables() error {
	if q.Embedding == 0 {
		q.Embedding = 16
	}
	head, embedding := q.Tables()
	for _, t := range []struct {
		name string
		recipe.Table
	}{{"head", head}, {"embedding", embedding}} {
		if t.Bits != quant.FullBits && !slices.Contains(quant.WeightBits, t.Bits) {
			return fmt.Errorf("%s_bits is %d, expected one of %v or 16", t.name, t.Bits, quant.WeightBits)
		}
		if t.Group != 0 && (t.Group < 8 || t.Group%8 != 0 || t.Group > maxGroup) {
			return fmt.Errorf("%s_group_size is %d, expected 0 or a multiple of 8 up to %d", t.name, t.Group, maxGroup)
		}
		if err := checkTableScales(t.name, t.Table, q.Version); err != nil {
			return err
		}
	}
	return nil
}

// checkTableScales returns an error for multiples as scales of an embedding or output matrix that
// cannot have them.
func checkTableScales(name string, t recipe.Table, version int) error {
	switch t.Scales {
	case "", quant.ScalesHalves:
		return nil
	case quant.ScalesMultiples:
	default:
		return fmt.Errorf("%s_scales is %q, expected %s or %s", name, t.Scales, quant.ScalesHalves, quant.ScalesMultiples)
	}
	switch {
	case version < Version:
		return fmt.Errorf("format_version is %d with %s_scales %s, expected %d", version, name, t.Scales, Version)
	case !slices.Contains(quant.MultipleBits, t.Bits):
		return fmt.Errorf("%s_bits is %d with %s_scales %s, expected one of %v", name, t.Bits, name, t.Scales, quant.MultipleBits)
	case !quant.MultipleGroup(t.Group):
		return fmt.Errorf("%s_group_size is %d with %s_scales %s, expected 16 or a multiple of 32", name, t.Group, name, t.Scales)
	}
	return nil
}

// Rows decodes single rows of a quantized matrix, as an embedding needs. Several goroutines may
// call Row at once.
type Rows struct {
	l       *Linear
	scratch sync.Pool // of *rowScratch
}

// rowScratch is what decoding a row needs.
type rowScratch struct {
	codes    []int8  // of one row
	multiple []uint8 // of one row's groups, of a grid with multiples
	step     float.GridStep
}

// NewRows makes a Rows for l, which must have no branch and no zero points of its own.
func NewRows(l *Linear) *Rows {
	t := &Rows{l: l}
	step := l.Grid.Step(quant.Steps{Scale: []float32{0}, Zero: l.Grid.FixedZero()}.At(l.Grid, 0))
	t.scratch.New = func() any {
		return &rowScratch{make([]int8, l.In), make([]uint8, l.Grid.Groups(l.In)), step}
	}
	return t
}

// Row writes the decoded row r to dst [In].
func (t *Rows) Row(dst []float32, r int) {
	l, g, s := t.l, t.l.Grid, t.scratch.Get().(*rowScratch)
	defer t.scratch.Put(s)
	integer.UnpackRow(s.codes, g.Bits, l.Tiles, r, l.In)
	if g.Multiples {
		integer.UnpackRowMultiples(s.multiple, g.Bits, l.Multiples, r, l.In, g.Group)
	}
	groups, scales := g.Groups(l.In), l.rowScales() // as many, or with multiples one
	size := l.In
	if groups > 1 {
		size = g.Group
	}
	for k := range groups {
		s.step.Scale = float.FromF16(l.Scales[(r/tileRows*scales+k%scales)*tileRows+r%tileRows])
		if g.Multiples {
			s.step.Scale *= g.MultipleUnit() * float32(s.multiple[k])
		}
		lo, hi := k*size, min(l.In, (k+1)*size)
		float.GridValues(dst[lo:hi], s.codes[lo:hi], &s.step)
	}
}
