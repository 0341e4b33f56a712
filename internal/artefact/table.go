package artefact

import (
	"fmt"
	"io"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/quant"
)

// The names of the two matrices that have a row for each token of the vocabulary. A
// quantized one has the tensors name + ".qweight" and name + ".scales" instead of name +
// ".weight".
const (
	HeadName      = "lm_head"
	EmbeddingName = "model.embed_tokens"
)

// tableChunk is the number of rows that are quantized at a time: a whole matrix may not fit
// into memory.
const tableChunk = 2048

// TableGrid is the grid of an embedding or output matrix: symmetric, so that zeros stay
// zeros.
func TableGrid(bits, group int) quant.Grid { return quant.Grid{Bits: bits, Group: group} }

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
// with the given name whose data is computed while they are written. prepare, if not nil,
// changes each chunk of rows first; round, if not nil, rounds them, otherwise weights are
// rounded to nearest; run executes n independent pieces of work.
func QuantizeTable(name string, t checkpoint.Tensor, g quant.Grid, prepare func(w []float32, rows int), round Rounder, run func(n int, fn func(i int))) []checkpoint.TensorSpec {
	rows, cols := t.Shape[0], t.Shape[1]
	// each calls fn with every quantized chunk.
	each := func(fn func(l *Linear) error) error {
		w := make([]float32, min(rows, tableChunk)*cols)
		q := make([]int8, len(w))
		for first := 0; first < rows; first += tableChunk {
			n := min(tableChunk, rows-first)
			if err := t.Rows(first, n).Float32(w[:n*cols]); err != nil {
				return err
			}
			if prepare != nil {
				prepare(w[:n*cols], n)
			}
			scales, err := g.Scales(w[:n*cols], n, cols, tableClip(g.Bits), run)
			if err != nil {
				return fmt.Errorf("%s: tensor %s: rows counted from %d: %w", t.File, t.Name, first, err)
			}
			if round != nil {
				round(q[:n*cols], w[:n*cols], scales, n)
			} else {
				g.RTN(q, w[:n*cols], scales, n, cols, run)
			}
			if err := fn(NewLinear(g, q[:n*cols], scales, n, cols, nil, nil, run)); err != nil {
				return err
			}
		}
		t.Release()
		return nil
	}
	tiles := (rows + tileRows - 1) / tileRows
	steps := integer.TileBytes(g.Bits, tileRows, cols) / 64
	return []checkpoint.TensorSpec{
		{Name: name + ".qweight", DType: checkpoint.U8, Shape: []int{tiles, steps, 64}, Write: func(w io.Writer) error {
			return each(func(l *Linear) error { _, err := w.Write(l.Tiles); return err })
		}},
		{Name: name + ".scales", DType: checkpoint.F16, Shape: []int{tiles, g.Groups(cols), tileRows}, Write: func(w io.Writer) error {
			return each(func(l *Linear) error { _, err := w.Write(bytesOf(l.Scales)); return err })
		}},
	}
}

// ReadHead reads the quantized output matrix [vocabulary × hidden].
func (q *Quantization) ReadHead(src Source, vocab, hidden int) (*Linear, error) {
	return readTable(src, HeadName, vocab, hidden, q.Head, q.HeadGroup)
}

// ReadEmbedding reads the quantized embedding [vocabulary × hidden]: its own tensors, or
// the output matrix of a tied model that stores only that.
func (q *Quantization) ReadEmbedding(src Source, vocab, hidden int) (*Linear, error) {
	if q.SharesTables() && !src.Has(EmbeddingName+".qweight") {
		return q.ReadHead(src, vocab, hidden)
	}
	return readTable(src, EmbeddingName, vocab, hidden, q.Embedding, q.EmbeddingGroup)
}

// SharesTables reports whether embedding and output matrix have the same format, so that a
// tied model needs only one of them.
func (q *Quantization) SharesTables() bool {
	return q.Head == q.Embedding && q.HeadGroup == q.EmbeddingGroup && q.Head != 16
}

func readTable(src Source, name string, vocab, hidden, bits, group int) (*Linear, error) {
	return ReadLinear(src, name, vocab, hidden, &Quantization{Bits: quant.Bits{Weights: bits}, Group: group})
}

// CheckTables checks the formats of embedding and output matrix, and sets an embedding
// without bits, as in old artefacts, to 16.
func (q *Quantization) CheckTables() error {
	if q.Embedding == 0 {
		q.Embedding = 16
	}
	for _, t := range []struct {
		name        string
		bits, group int
	}{{"head", q.Head, q.HeadGroup}, {"embedding", q.Embedding, q.EmbeddingGroup}} {
		if t.bits != 16 && !slices.Contains(quant.WeightBits, t.bits) {
			return fmt.Errorf("%s_bits is %d, expected one of %v or 16", t.name, t.bits, quant.WeightBits)
		}
		if t.group != 0 && (t.group < 8 || t.group%8 != 0 || t.group > maxGroup) {
			return fmt.Errorf("%s_group_size is %d, expected 0 or a multiple of 8 up to %d", t.name, t.group, maxGroup)
		}
	}
	return nil
}

// Rows decodes single rows of a quantized matrix, as an embedding needs. Row must not be
// called by several goroutines at once.
type Rows struct {
	l     *Linear
	codes []int8 // of one row
}

// NewRows makes a Rows for l, which must have no branch.
func NewRows(l *Linear) *Rows { return &Rows{l: l, codes: make([]int8, l.In)} }

// Row writes the decoded row r to dst [In].
func (t *Rows) Row(dst []float32, r int) {
	l := t.l
	integer.UnpackRow(t.codes, l.Grid.Bits, l.Tiles, r, l.In)
	groups := l.Grid.Groups(l.In)
	size := (l.In + groups - 1) / groups
	if l.Grid.Group > 0 && groups > 1 {
		size = l.Grid.Group
	}
	for k := range groups {
		scale := float.FromF16(l.Scales[(r/tileRows*groups+k)*tileRows+r%tileRows])
		for c := k * size; c < min(l.In, (k+1)*size); c++ {
			dst[c] = scale * float32(t.codes[c])
		}
	}
}
