package engine

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/ggml"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// Quantized weights of a GGUF file run as they are: the same integers, scales and
// minimums, repacked for the integer kernels when the model is opened. Only the inputs of
// the layers lose precision: they are quantized to 8 bits, with one scale for each 32
// channels of a token. (One scale for a whole token loses several times as much if it has
// outliers, and these models were not made for that.) On machines without fast kernels for
// it, inputs stay float32.

// Bits of the activations and of the cache of a model that runs from a GGUF file.
const (
	ggufActBits  = 8
	ggufActGroup = 32
	ggufKVBits   = 16
)

// ggufActGrid is the quantization grid of the activations.
func ggufActGrid() integer.ActGrid {
	if !integer.ByteGroups() {
		return integer.ActGrid{Bits: quant.FullBits}
	}
	return integer.ActGrid{Bits: ggufActBits, Clip: 1, Group: ggufActGroup}
}

// repack converts a quantized matrix to the layout of the kernels (tiles of 16 rows),
// tiles in parallel. Integers and scales are exact. A minimum becomes a zero point in units
// of the scale, rounded to float32.
func repack(p *parallel.Pool, pages *largePages, t checkpoint.Tensor) (*integer.Matrix, error) {
	b := t.DType.Block()
	if t.Err() != nil {
		return nil, t.Err()
	}
	if b == nil || len(t.Shape) != 2 {
		return nil, fmt.Errorf("%s: tensor %s: is %s %v, expected a matrix of a quantized type", t.File, t.Name, t.DType, t.Shape)
	}
	rows, cols := t.Shape[0], t.Shape[1]
	length := integer.TileBytes(b.Bits, rows, cols)
	data := pages.take(length)
	if data == nil {
		data = make([]byte, length)
	}
	data = data[:length:length]
	scale := make([]float32, integer.ScaleLen(rows, cols, b.Group))
	var zero []float32
	if b.HasMin {
		zero = make([]float32, len(scale))
	}
	tiles := (rows + repackRows - 1) / repackRows
	bytes, scales := len(data)/tiles, len(scale)/tiles
	var bad atomic.Int64 // 1 + a row whose scale is not finite
	p.Run(tiles, func(i int) {
		w := repackTile{block: b, rows: min(repackRows, rows-i*repackRows), cols: cols, scale: scale[i*scales:][:scales]}
		if zero != nil {
			w.zero = zero[i*scales:][:scales]
		}
		q := make([]int8, repackRows*cols)
		if row := w.decode(q, t.Data[i*repackRows*len(t.Data)/rows:]); row >= 0 {
			bad.CompareAndSwap(0, int64(i*repackRows+row+1))
		}
		integer.PackTiles(data[i*bytes:][:bytes], b.Bits, q[:w.rows*cols], w.rows, cols)
	})
	if row := bad.Load(); row > 0 {
		return nil, fmt.Errorf("%s: tensor %s: a scale in row %d is not finite; the file is damaged, get it again", t.File, t.Name, row-1)
	}
	var m *integer.Matrix
	var err error
	if b.Levels != nil {
		m, err = integer.NewLevelsMatrix(b.Levels, rows, cols, b.Group, data, scale)
	} else {
		m, err = integer.NewMatrix(b.Bits, rows, cols, b.Group, data, scale, zero)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", t.File, t.Name, err)
	}
	t.Release()
	return m, nil
}

// repackRows is the number of rows in a tile of the kernels' layout.
const repackRows = 16

// repackTile is one tile of a matrix that is repacked.
type repackTile struct {
	block       *ggml.Type
	rows, cols  int       // rows are fewer than repackRows in the last tile
	scale, zero []float32 // [groups × repackRows]; zero is nil if the type has no minimums
}

// decode writes the tile's integers to q [rows × cols], and its scales and zero points, from
// the file's bytes. It returns a row whose scale is not finite, or −1.
func (w *repackTile) decode(q []int8, src []byte) (bad int) {
	b := w.block
	bad = -1
	var block ggml.Block
	for row := range w.rows {
		to := q[row*w.cols:][:w.cols]
		for at, g := 0, 0; at < w.cols; at += b.Elems {
			b.Decode(&block, src)
			src = src[b.Bytes:]
			copy(to[at:], block.Q[:b.Elems])
			for i := range b.Groups() {
				s, z := block.Scale[i], float32(0)
				if b.HasMin {
					s, z = zeroPoint(to[at+i*b.Group:][:b.Group], s, block.Min[i])
					w.zero[g*repackRows+row] = z
				}
				if s-s != 0 || z-z != 0 {
					bad = row
				}
				w.scale[g*repackRows+row] = s
				g++
			}
		}
	}
	if b.HasMin || b.Levels != nil { // the file's integers start at 0, those of the layout at −2^(bits−1)
		half := int8(1 << (b.Bits - 1))
		for i := range q[:w.rows*w.cols] {
			q[i] -= half
		}
	}
	return bad
}

// checkScales returns an error that names a row of a quantized matrix with a scale or
// minimum that is not finite, if there is one.
func checkScales(p *parallel.Pool, t checkpoint.Tensor) error {
	b, rows := t.DType.Block(), t.Shape[0]
	size := len(t.Data) / rows
	var bad atomic.Int64
	const each = 64
	p.Run((rows+each-1)/each, func(i int) {
		var block ggml.Block
		for r := i * each; r < min(rows, (i+1)*each); r++ {
			for src := t.Data[r*size:][:size]; len(src) > 0; src = src[b.Bytes:] {
				b.Decode(&block, src)
				for g := range b.Groups() {
					if s, m := block.Scale[g], block.Min[g]; s-s != 0 || m-m != 0 {
						bad.CompareAndSwap(0, int64(r+1))
					}
				}
			}
		}
	})
	if row := bad.Load(); row > 0 {
		return fmt.Errorf("%s: tensor %s: a scale in row %d is not finite; the file is damaged, get it again", t.File, t.Name, row-1)
	}
	return nil
}

// zeroPoint converts a group's scale and minimum, weight = s·q − m, to a scale and a
// zero point, weight = s·(q − z). In a group of scale 0 all weights are −m: its integers
// become 0.
func zeroPoint(q []int8, s, m float32) (scale, zero float32) {
	if s != 0 || m == 0 {
		if m == 0 {
			return s, 0
		}
		return s, m / s
	}
	clear(q)
	return m, 1
}

// projections computes layers that read the same input but whose weights have groups of
// different sizes, so that they can't share the quantized input: one part for each size.
type projections struct {
	parts []projection
	at    [][]int       // which of the outputs each part writes
	ys    [][][]float32 // for each part, reused
}

func (l *projections) forward(s *scratch, ys [][]float32, x []float32, tokens int) {
	for i, p := range l.parts {
		for k, at := range l.at[i] {
			l.ys[i][k] = ys[at]
		}
		p.forward(s, l.ys[i], x, tokens)
	}
}

// ggufProjection makes the projection of layers that read one input, in the formats of the
// GGUF file; a layer without bias has nil in biases. Layers with the same group size share
// the quantized input. Layers that the file has in 16 or 32 bits stay so.
func (m *Model) ggufProjection(tensors []checkpoint.Tensor, biases [][]float32) (projection, error) {
	all := &projections{}
	parts := map[int]*quantized{} // by group size
	for i, t := range tensors {
		b := t.DType.Block()
		if b == nil {
			h, err := llama.HalfMatrix(t)
			if err != nil {
				return nil, err
			}
			all.add(&plain{weights: []float.HalfMatrix{h}, bias: [][]float32{biases[i]}}, i)
			continue
		}
		w, err := repack(m.pool, &m.pages, t)
		if err != nil {
			return nil, err
		}
		part := parts[b.Group]
		if part == nil {
			part = &quantized{in: t.Shape[1], act: ggufActGrid(), group: b.Group}
			parts[b.Group] = part
		}
		part.matrices, part.bias = append(part.matrices, w), append(part.bias, biases[i])
		part.widths, part.at = append(part.widths, t.Shape[0]), append(part.at, len(part.at))
		all.add(part, i)
	}
	if len(all.parts) == 1 {
		return all.parts[0], nil
	}
	return all, nil
}

// add notes that part writes the given output of the layers.
func (l *projections) add(part projection, output int) {
	i := slices.Index(l.parts, part)
	if i < 0 {
		i = len(l.parts)
		l.parts, l.at, l.ys = append(l.parts, part), append(l.at, nil), append(l.ys, nil)
	}
	l.at[i] = append(l.at[i], output)
	l.ys[i] = append(l.ys[i], nil)
}

// ggufLayers is ggufProjection for layers of the block whose tensors start with prefix.
func (m *Model) ggufLayers(prefix string, layers []llama.Layer) (projection, error) {
	var tensors []checkpoint.Tensor
	var biases [][]float32
	for _, w := range layers {
		name := prefix + w.String()
		t, err := m.Checkpoint.Tensor(name + ".weight")
		if err != nil {
			return nil, err
		}
		var bias []float32
		if m.Checkpoint.Has(name + ".bias") {
			if bias, err = llama.Vector(m.Checkpoint, name+".bias", t.Shape[0]); err != nil {
				return nil, err
			}
		}
		tensors, biases = append(tensors, t), append(biases, bias)
	}
	return m.ggufProjection(tensors, biases)
}

// ggufRows looks up rows of a quantized matrix of a GGUF file.
type ggufRows struct{ t checkpoint.Tensor }

// Row implements [rows]. It can't fail: the header was checked when the file was opened,
// and the scales by checkScales.
func (r ggufRows) Row(dst []float32, i int) {
	size := len(r.t.Data) / r.t.Shape[0]
	r.t.DType.Block().Dequantize(dst, r.t.Data[i*size:][:size])
}

// ggufBitsOf is the bit setting that a GGUF model runs in. For the weights it is the width
// in which most of the blocks' weights are stored.
func ggufBitsOf(ck *checkpoint.Checkpoint) quant.Bits {
	count := map[int]int{}
	for _, name := range ck.Names() {
		t, err := ck.Tensor(name)
		if err != nil || len(t.Shape) != 2 || t.Name == "model.embed_tokens.weight" || t.Name == "lm_head.weight" {
			continue
		}
		bits := quant.FullBits
		if b := t.DType.Block(); b != nil {
			bits = b.Bits
		}
		count[bits] += t.Elems()
	}
	best := quant.FullBits
	for _, bits := range quant.WeightBits {
		if count[bits] > count[best] {
			best = bits
		}
	}
	return quant.Bits{Weights: best, Activations: ggufActGrid().Bits, KV: ggufKVBits}
}
