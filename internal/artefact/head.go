package artefact

import (
	"fmt"
	"io"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/quant"
)

// HeadName is the output matrix's name; quantized, its tensors are HeadName +
// ".qweight" and ".scales".
const HeadName = "lm_head"

// headChunk is the number of rows of the output matrix that are worked on at
// a time: a vocabulary may have more rows than memory has room for.
const headChunk = 2048

// QuantizeHead returns the output matrix rounded to 8 bits, one scale a row, as
// tensors that compute themselves while they are written. prepare, if not nil,
// changes each set of rows before.
func QuantizeHead(t checkpoint.Tensor, prepare func(w []float32, rows int), run func(n int, fn func(i int))) []checkpoint.TensorSpec {
	rows, cols := t.Shape[0], t.Shape[1]
	g := quant.Grid{Bits: 8}
	// each calls fn with every chunk quantized.
	each := func(fn func(l *Linear) error) error {
		w := make([]float32, min(rows, headChunk)*cols)
		q := make([]int8, len(w))
		for first := 0; first < rows; first += headChunk {
			n := min(headChunk, rows-first)
			part := t
			size := t.DType.Size() * cols
			part.Shape, part.Data = []int{n, cols}, t.Data[first*size:][:n*size]
			if err := part.Float32(w[:n*cols]); err != nil {
				return fmt.Errorf("rows counted from %d: %w", first, err)
			}
			if prepare != nil {
				prepare(w[:n*cols], n)
			}
			scales, err := g.Scales(w[:n*cols], n, cols, quant.ClipNone, run)
			if err != nil {
				return fmt.Errorf("%s: tensor %s: rows counted from %d: %w", t.File, t.Name, first, err)
			}
			g.RTN(q, w[:n*cols], scales, n, cols, run)
			if err := fn(NewLinear(g, q[:n*cols], scales, n, cols, nil, nil)); err != nil {
				return err
			}
		}
		t.Release()
		return nil
	}
	tiles := (rows + tileRows - 1) / tileRows
	steps := kernel.TileBytes(8, tileRows, cols) / 64
	return []checkpoint.TensorSpec{
		{Name: HeadName + ".qweight", DType: checkpoint.U8, Shape: []int{tiles, steps, 64}, Write: func(w io.Writer) error {
			return each(func(l *Linear) error { _, err := w.Write(l.Tiles); return err })
		}},
		{Name: HeadName + ".scales", DType: checkpoint.F16, Shape: []int{tiles, 1, tileRows}, Write: func(w io.Writer) error {
			return each(func(l *Linear) error { _, err := w.Write(bytesOf(l.Scales)); return err })
		}},
	}
}

// ReadHead reads the quantized output matrix [vocab × hidden].
func ReadHead(src Source, vocab, hidden int) (*Linear, error) {
	return ReadLinear(src, HeadName, vocab, hidden, &Quantization{Bits: quant.Bits{Weights: 8}})
}
