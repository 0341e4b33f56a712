package engine

import (
	"fmt"
	"sync/atomic"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/ggml"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// The weights of a GGUF file that are already quantized are kept: the same
// integers, scales and minimums, laid out for the integer kernels when the model is
// opened. Their inputs are quantized to 8 bits, with a scale for 32 channels of a
// token; that is all that is lost. A scale for the whole token loses several times as
// much beside outliers, and none of the models was made for that. Where the machine
// has no fast kernels for it, inputs stay float32.

// Activations and cache beside weights of a GGUF file.
const (
	keptActBits  = 8
	keptActGroup = 32
	keptKVBits   = 16
)

// keptGrid is the grid of the activations.
func keptGrid() kernel.ActGrid {
	if !kernel.ByteGroups() {
		return kernel.ActGrid{Bits: quant.FullBits}
	}
	return kernel.ActGrid{Bits: keptActBits, Clip: 1, Group: keptActGroup}
}

// relay lays a quantized matrix out for the kernels, tiles of rows in parallel.
// Scales are exact. A minimum becomes a zero point in units of the scale, which is
// within a float32's rounding of it.
func relay(p *kernel.Pool, pages *largePages, t checkpoint.Tensor) (*kernel.IntMatrix, error) {
	b := t.DType.Block()
	if t.Err() != nil {
		return nil, t.Err()
	}
	if b == nil || len(t.Shape) != 2 {
		return nil, fmt.Errorf("%s: tensor %s: is %s %v, expected a matrix of a quantized type", t.File, t.Name, t.DType, t.Shape)
	}
	rows, cols := t.Shape[0], t.Shape[1]
	size, _ := t.DType.RowBytes(cols)
	groups := cols / b.Group
	const lanes = 16
	tiles := (rows + lanes - 1) / lanes
	length := kernel.TileBytes(b.Bits, rows, cols)
	data := pages.take(length)
	if data == nil {
		data = make([]byte, length)
	}
	data = data[:length:length]
	scale := make([]float32, kernel.ScaleLen(rows, cols, b.Group))
	var zero []float32
	if b.HasMin {
		zero = make([]float32, len(scale))
	}
	bytes := len(data) / tiles
	var bad atomic.Int64 // 1 + the first row whose scale is not finite
	p.Run(tiles, func(tile int) {
		var block ggml.Block
		q := make([]int8, lanes*cols)
		n := min(lanes, rows-tile*lanes)
		for lane := range n {
			src := t.Data[(tile*lanes+lane)*size:][:size]
			to := q[lane*cols:][:cols]
			for at, g := 0, 0; at < cols; at += b.Elems {
				b.Decode(&block, src[at/b.Elems*b.Bytes:])
				copy(to[at:], block.Q[:b.Elems])
				for i := range b.Groups() {
					place := (tile*groups+g)*lanes + lane
					s, z := block.Scale[i], float32(0)
					if b.HasMin {
						if s, z = zeroPoint(to[at+i*b.Group:][:b.Group], s, block.Min[i]); zero != nil {
							zero[place] = z
						}
					}
					if s-s != 0 || z-z != 0 {
						bad.CompareAndSwap(0, int64(tile*lanes+lane+1))
						s = 0
					}
					scale[place] = s
					g++
				}
			}
			if b.HasMin { // numbers from 0 on; those of the layout begin at −2^(bits−1)
				half := int8(1 << (b.Bits - 1))
				for i := range to {
					to[i] -= half
				}
			}
		}
		kernel.PackTiles(data[tile*bytes:][:bytes], b.Bits, q[:n*cols], n, cols)
	})
	if row := bad.Load(); row > 0 {
		return nil, fmt.Errorf("%s: tensor %s: a scale in row %d is not finite; the file is damaged, get it again", t.File, t.Name, row-1)
	}
	m, err := kernel.NewIntMatrix(b.Bits, rows, cols, b.Group, data, scale, zero)
	if err != nil {
		return nil, fmt.Errorf("%s: tensor %s: %w", t.File, t.Name, err)
	}
	t.Release()
	return m, nil
}

// checkRows finds the first row of a quantized matrix with a scale that is not finite.
func checkRows(p *kernel.Pool, t checkpoint.Tensor) error {
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

// zeroPoint turns a group's scale and minimum, weight = s·q − m, into a scale and a
// zero point, weight = s·(q − z). A group of scale 0 is all −m: its numbers become 0.
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

// several is a projection in parts that do not share a grid of the weights: each
// quantizes the activations for itself.
type several struct {
	parts []projection
	at    [][]int       // which of the outputs each part writes
	ys    [][][]float32 // for each part, reused
}

func (l *several) forward(s *scratch, ys [][]float32, x []float32, tokens int) {
	for i, p := range l.parts {
		for k, at := range l.at[i] {
			l.ys[i][k] = ys[at]
		}
		p.forward(s, l.ys[i], x, tokens)
	}
}

// keep makes a projection of layers as a GGUF file has them; biases may be nil.
// Layers whose weights share scales over as many inputs share the quantized
// activations. Those that the file has in 16 or 32 bits stay so.
func (m *Model) keep(tensors []checkpoint.Tensor, biases [][]float32) (projection, error) {
	all := &several{}
	groups := map[int]*quantized{}
	index := map[int]int{}
	for i, t := range tensors {
		group := 0
		if b := t.DType.Block(); b != nil {
			group = b.Group
		}
		part := groups[group]
		if part == nil && group > 0 {
			part = &quantized{in: t.Shape[1], act: keptGrid(), group: group}
			groups[group] = part
			all.parts = append(all.parts, part)
		} else if part == nil {
			all.parts = append(all.parts, &plain{})
		}
		if len(all.parts) > len(all.at) {
			index[group] = len(all.at)
			all.at = append(all.at, nil)
			all.ys = append(all.ys, nil)
		}
		at := index[group]
		if group == 0 {
			at = len(all.at) - 1
		}
		all.at[at] = append(all.at[at], i)
		all.ys[at] = append(all.ys[at], nil)
		if group == 0 {
			h, err := llama.HalfMatrix(t)
			if err != nil {
				return nil, err
			}
			p := all.parts[at].(*plain)
			p.weights, p.bias = append(p.weights, h), append(p.bias, biases[i])
			continue
		}
		w, err := relay(m.pool, &m.pages, t)
		if err != nil {
			return nil, err
		}
		part.matrices, part.bias = append(part.matrices, w), append(part.bias, biases[i])
		part.widths, part.at = append(part.widths, t.Shape[0]), append(part.at, len(part.at))
	}
	if len(all.parts) == 1 {
		return all.parts[0], nil
	}
	return all, nil
}

// keepLayers is keep for layers that read one input of the block whose tensors start
// with prefix.
func (m *Model) keepLayers(prefix string, layers []llama.Layer) (projection, error) {
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
	return m.keep(tensors, biases)
}

// keptRows looks up rows of a matrix as a GGUF file has it.
type keptRows struct{ t checkpoint.Tensor }

// Row implements [rows]. The file's header was checked, and all scales by
// checkRows, so that nothing can fail here.
func (r keptRows) Row(dst []float32, i int) {
	size := len(r.t.Data) / r.t.Shape[0]
	r.t.DType.Block().Dequantize(dst, r.t.Data[i*size:][:size])
}

// keptBitsOf are the bits that a model of a GGUF file runs in: of the weights, those
// of the type that holds most of the blocks' weights.
func keptBitsOf(ck *checkpoint.Checkpoint) quant.Bits {
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
	return quant.Bits{Weights: best, Activations: keptGrid().Bits, KV: keptKVBits}
}
