package stage

import (
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
)

// filed is a layer whose weights stay in the checkpoint's file. What [Level] multiplies them by
// is kept and done whenever they are read.
type filed struct {
	dense         *llama.Dense // without weights
	tensor        checkpoint.Tensor
	part          []float32 // memory for the rows that are read at a time, for all layers in turn
	rows, columns []int     // exponents of the factors; nil: none

	byRow, byColumn []float32 // largest magnitudes; nil: not known
	err             error     // of reading for them
}

func (f *filed) size() (out, in int) { return f.dense.Out, f.dense.In }

// parts reads the weights in order, some rows at a time, and calls fn with each part. Its pages
// of the file are then let go.
func (f *filed) parts(p *parallel.Pool, fn func(first, rows int, w []float32) error) error {
	out, in := f.size()
	step := min(out, max(1, partBytes/4/in))
	w, errs := f.part[:step*in], make([]error, step)
	for first := 0; first < out; first += step {
		rows := min(step, out-first)
		p.Run(rows, func(i int) { errs[i] = f.read(w[i*in:][:in], first+i) })
		f.tensor.Rows(first, rows).Release()
		for _, err := range errs[:rows] {
			if err != nil {
				return err
			}
		}
		if err := fn(first, rows, w[:rows*in]); err != nil {
			return err
		}
	}
	return nil
}

// read sets row to row i.
func (f *filed) read(row []float32, i int) error {
	if err := f.tensor.Rows(i, 1).Float32(row); err != nil {
		return err
	}
	if f.columns != nil {
		for k, s := range f.columns {
			row[k] = scaled(row[k], s)
		}
	}
	if f.rows != nil {
		for k, v := range row {
			row[k] = scaled(v, f.rows[i])
		}
	}
	return nil
}

// tops reads the weights for the largest magnitudes, unless they are known.
func (f *filed) tops(p *parallel.Pool) {
	if f.byRow != nil || f.err != nil {
		return
	}
	out, in := f.size()
	byRow, byColumn := make([]float32, 0, out), make([]float32, in)
	f.err = f.parts(p, func(_, rows int, w []float32) error {
		part := loaded{&llama.Dense{Out: rows, In: in, W: w}}
		byRow = append(byRow, part.rowTops(p)...)
		for k, top := range part.columnTops(p) {
			byColumn[k] = max(byColumn[k], top)
		}
		return nil
	})
	f.byRow, f.byColumn = byRow[:out], byColumn
}

func (f *filed) rowTops(p *parallel.Pool) []float32 {
	f.tops(p)
	return f.byRow
}

func (f *filed) columnTops(p *parallel.Pool) []float32 {
	f.tops(p)
	return f.byColumn
}

func (f *filed) shiftRows(_ *parallel.Pool, shift []int) {
	f.rows = together(f.rows, shift)
	for i, s := range shift {
		if f.dense.Bias != nil {
			f.dense.Bias[i] = scaled(f.dense.Bias[i], s)
		}
	}
	f.byRow, f.byColumn = nil, nil
}

func (f *filed) shiftColumns(_ *parallel.Pool, shift []int) {
	f.columns = together(f.columns, shift)
	f.byRow, f.byColumn = nil, nil
}

// together is the sum of two lists of exponents, of which the first may be missing.
func together(a, b []int) []int {
	sum := make([]int, len(b))
	copy(sum, a)
	for i, s := range b {
		sum[i] += s
	}
	return sum
}

// whole is the layer in 16 bits.
func (f *filed) whole(p *parallel.Pool) (*artefact.Linear, error) {
	out, in := f.size()
	h := make([]uint16, out*in)
	err := f.parts(p, func(first, rows int, w []float32) error {
		if i := outsideHalf(w); i >= 0 {
			return tooLarge(first*in+i, in, w[i])
		}
		float.F32ToF16(h[first*in:][:len(w)], w)
		return nil
	})
	return artefact.NewWhole(h, out, in, f.dense.Bias), err
}
