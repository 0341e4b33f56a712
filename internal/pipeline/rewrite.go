package pipeline

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
)

// changedRows is the number of rows of a tensor that are changed at a time.
const changedRows = 2048

// changed returns a tensor that fn changes while it is written. It is stored in 16-bit floats,
// or in 32 if t is.
func changed(name string, t checkpoint.Tensor, fn func(w []float32, rows int)) checkpoint.TensorSpec {
	rows, cols := 1, t.Elems()
	if len(t.Shape) == 2 {
		rows, cols = t.Shape[0], t.Shape[1]
	}
	spec := checkpoint.TensorSpec{Name: name, DType: checkpoint.F16, Shape: t.Shape}
	if t.DType == checkpoint.F32 {
		spec.DType = checkpoint.F32
	}
	spec.Write = func(out io.Writer) error {
		w := make([]float32, min(rows, changedRows)*cols)
		raw := make([]byte, 0, len(w)*spec.DType.Size())
		for first := 0; first < rows; first += changedRows {
			n := min(changedRows, rows-first)
			part := t
			if len(t.Shape) == 2 {
				part = t.Rows(first, n)
			}
			if err := part.Float32(w[:n*cols]); err != nil {
				return err
			}
			fn(w[:n*cols], n)
			raw = raw[:0]
			for _, v := range w[:n*cols] {
				if spec.DType == checkpoint.F32 {
					raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
					continue
				}
				h := float.ToF16(v)
				if h&0x7c00 == 0x7c00 {
					return fmt.Errorf("%s: tensor %s: %v does not fit a 16-bit float after rotation", t.File, t.Name, v)
				}
				raw = binary.LittleEndian.AppendUint16(raw, h)
			}
			if _, err := out.Write(raw); err != nil {
				return err
			}
		}
		t.Release()
		return nil
	}
	return spec
}
