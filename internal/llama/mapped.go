package llama

import (
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Mapped is a linear layer whose weights stay in the checkpoint's file. They are converted as
// they are used, some rows at a time, whose pages are then let go. It computes the same bits as
// a [Dense] of the same weights.
type Mapped struct {
	Bias   []float32 // nil: none
	tensor checkpoint.Tensor
}

// MappedBytes is how much of a file's weights a [Mapped] has in memory at a time.
const MappedBytes = 16 << 20

// NewMapped makes a layer of a matrix of a type that kernels read in place, see [HalfMatrix].
func NewMapped(t checkpoint.Tensor) (*Mapped, error) {
	if _, err := HalfMatrix(t); err != nil {
		return nil, err
	}
	return &Mapped{tensor: t}, nil
}

// Forward implements [Linear].
func (m *Mapped) Forward(p *parallel.Pool, y, x []float32, tokens int) {
	out, in := m.tensor.Shape[0], m.tensor.Shape[1]
	rows := max(1, MappedBytes*out/max(1, len(m.tensor.Data)))
	for first := 0; first < out; first += rows {
		part := m.tensor.Rows(first, min(rows, out-first))
		w, err := HalfMatrix(part)
		if err != nil { // can't happen: NewMapped has checked the whole
			panic(err)
		}
		float.MatMulHalf(p, y[first:], out, x, in, w, tokens)
		part.Release()
	}
	float.AddEachOn(p, y, m.Bias, tokens)
}

// mappedBlock returns block i of the checkpoint with its weights in the file. Norms and router
// are read into dst, and layers of a type that kernels can't read in place, too.
func mappedBlock(ck *checkpoint.Checkpoint, i int, dst *DenseBlock) (*Block, error) {
	if err := dst.ReadSmall(ck, i); err != nil {
		return nil, err
	}
	b := dst.Block()
	for _, of := range Layers(ck.Config.Of(i)) {
		t, err := ck.Tensor(TensorPrefix(i) + of.String() + ".weight")
		if err != nil {
			return nil, err
		}
		if _, err := HalfMatrix(t); err != nil {
			if err := dst.read(ck, of); err != nil {
				return nil, err
			}
			continue // b has it already
		}
		m, err := NewMapped(t)
		if err != nil {
			return nil, err
		}
		m.Bias = dst.Layer(of).Bias
		*b.layer(of) = m
	}
	return b, nil
}

// layer is where a block has one of its layers.
func (b *Block) layer(l Layer) *Linear {
	if l.Expert < 0 {
		return [NumLinears]*Linear{&b.Q, &b.K, &b.V, &b.O, &b.Gate, &b.Up, &b.Down}[l.Which]
	}
	x := &b.Experts[l.Expert]
	return [...]*Linear{&x.Gate, &x.Up, &x.Down}[l.Which-Gate]
}
