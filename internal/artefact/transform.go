package artefact

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
)

// NewTransform makes the named transform for an input of the model; nil for none. Kronecker
// factors are read by [ReadTransform].
func NewTransform(name string, in llama.Input, c *checkpoint.Config) (linalg.Transform, error) {
	switch name {
	case "":
		return nil, nil
	case Hadamard:
		return linalg.NewHadamard(in.Width(c))
	case Heads:
		return linalg.NewHeads(c.Heads, c.HeadDim)
	}
	return nil, fmt.Errorf("transform of the input of %[2]s: found %[1]q, expected %[3]s or %[4]s", name, in, Hadamard, Heads)
}

// HeadTransform makes the transform of the output matrix's input; nil for none.
func (t Transforms) HeadTransform(c *checkpoint.Config) (linalg.Transform, error) {
	if t.Head == "" {
		return nil, nil
	}
	return linalg.NewHadamard(c.HiddenSize)
}

// QK is the transform of queries and keys after RoPE that all blocks share; nil if there is
// none or each block has its own: see [ReadQK].
func (t Transforms) QK(c *checkpoint.Config) (*llama.QK, error) {
	if t.Cache != Hadamard {
		return nil, nil
	}
	h, err := linalg.NewHadamard(c.HeadDim)
	return llama.Alike(h), err
}

// ReadTransform makes the transform of an input of a block; prefix is that of the block's
// tensor names; nil for none.
func ReadTransform(src Source, prefix string, in llama.Input, c *checkpoint.Config, t Transforms) (linalg.Transform, error) {
	if t.Input(in) != Kronecker {
		return NewTransform(t.Input(in), in, c)
	}
	left, right, a, b, err := ReadKronecker(src, prefix, in, c)
	if err != nil {
		return nil, err
	}
	return linalg.NewKronecker(left, a, right, b)
}

// ReadKronecker reads the factors left [a × a] and right [b × b] of the transform of a
// block's input; prefix is that of the block's tensor names.
func ReadKronecker(src Source, prefix string, in llama.Input, c *checkpoint.Config) (left, right []float32, a, b int, err error) {
	var sides [2][]float32
	var orders [2]int
	for i, side := range []string{".left", ".right"} {
		name := prefix + "inputs." + inputKeys[in] + side
		m, err := src.Tensor(name)
		if err != nil {
			return nil, nil, 0, 0, err
		}
		if len(m.Shape) != 2 || m.Shape[0] != m.Shape[1] || m.Shape[0] < 1 {
			return nil, nil, 0, 0, fmt.Errorf("%s: tensor %s: has shape %v, expected a square matrix", m.File, m.Name, m.Shape)
		}
		orders[i] = m.Shape[0]
		sides[i] = make([]float32, m.Elems())
		if err := m.Float32(sides[i]); err != nil {
			return nil, nil, 0, 0, err
		}
	}
	if orders[0]*orders[1] != in.Width(c) {
		return nil, nil, 0, 0, fmt.Errorf("%s: the transform's factors have orders %d and %d, expected a product of %d, the width of the input of %s",
			fileOf(src, prefix+"inputs."+inputKeys[in]+".left"), orders[0], orders[1], in.Width(c), in)
	}
	return sides[0], sides[1], orders[0], orders[1], nil
}

// KroneckerTensors returns the factors as they are stored; input is the prefix from
// [InputName].
func KroneckerTensors(input string, left []float32, a int, right []float32, b int) []checkpoint.TensorSpec {
	return []checkpoint.TensorSpec{
		{Name: input + ".left", DType: checkpoint.F32, Shape: []int{a, a}, Data: bytesOf(left)},
		{Name: input + ".right", DType: checkpoint.F32, Shape: []int{b, b}, Data: bytesOf(right)},
	}
}
