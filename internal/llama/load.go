package llama

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/plural"
)

// DenseBlock is a block with float32 weights, whose memory is reused from one
// block of the checkpoint to the next.
type DenseBlock struct {
	Index int // of the block in the checkpoint
	Norms
	// Linears are the block's layers. Where the MLP is a mixture, its last three are those
	// of the expert that [DenseBlock.Select] chose last.
	Linears [NumLinears]Dense

	Router  []float32 // [experts × hidden]; nil: the MLP is one for all tokens
	Experts []Expert
}

// Expert is the layers of one expert: gate, up and down.
type Expert [NumLinears - Gate]Dense

// Select makes expert e's layers the last three of Linears. They share the memory of
// their weights.
func (d *DenseBlock) Select(e int) { copy(d.Linears[Gate:], d.Experts[e][:]) }

// Layer is one of the block's layers.
func (d *DenseBlock) Layer(l Layer) *Dense {
	if l.Expert < 0 {
		return &d.Linears[l.Which]
	}
	return &d.Experts[l.Expert][l.Which-Gate]
}

// Which names one of the seven linear layers of a block.
type Which int

// The linear layers in the order of the forward pass.
const (
	Q Which = iota
	K
	V
	O
	Gate
	Up
	Down
	NumLinears
)

var whichNames = [NumLinears]string{
	"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
	"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
}

// String is the layer's name within its block, as in the checkpoint.
func (w Which) String() string { return whichNames[w] }

// Input is the activation that the layer reads.
func (w Which) Input() Input {
	switch {
	case w <= V:
		return AttnInput
	case w == O:
		return OInput
	case w <= Up:
		return MLPInput
	}
	return DownInput
}

// Readers are the layers that share an input.
func (i Input) Readers() []Which {
	return [NumInputs][]Which{{Q, K, V}, {O}, {Gate, Up}, {Down}}[i]
}

// Width is the number of channels of the input.
func (i Input) Width(c *checkpoint.Config) int {
	switch i {
	case OInput:
		return c.Heads * c.HeadDim
	case DownInput:
		return c.IntermediateSize
	}
	return c.HiddenSize
}

// Shape is the layer's [out, in].
func (w Which) Shape(c *checkpoint.Config) (out, in int) {
	in = w.Input().Width(c)
	switch w {
	case Q:
		out = c.Heads * c.HeadDim
	case K, V:
		out = c.KVHeads * c.HeadDim
	case Gate, Up:
		out = c.IntermediateSize
	default:
		out = c.HiddenSize
	}
	return out, in
}

// Block returns the dense block as a runnable one. Changing the weights of the
// DenseBlock changes what it computes.
func (d *DenseBlock) Block() *Block {
	l := &d.Linears
	b := &Block{Index: d.Index, Norms: d.Norms, Router: d.Router,
		Q: &l[Q], K: &l[K], V: &l[V], O: &l[O], Gate: &l[Gate], Up: &l[Up], Down: &l[Down]}
	for e := range d.Experts {
		x := &d.Experts[e]
		b.Experts = append(b.Experts, ExpertLayers{Gate: &x[0], Up: &x[Up-Gate], Down: &x[Down-Gate]})
	}
	return b
}

// TensorPrefix is the start of the names of block i's tensors.
func TensorPrefix(i int) string { return fmt.Sprintf("model.layers.%d.", i) }

// LoadBlock reads block i of the checkpoint into dst, reusing its memory, and
// lets go of the file's pages.
func LoadBlock(ck *checkpoint.Checkpoint, i int, dst *DenseBlock) error {
	if err := dst.ReadSmall(ck, i); err != nil {
		return err
	}
	for _, of := range Layers(ck.Config.Of(i)) {
		if err := dst.read(ck, of); err != nil {
			return err
		}
	}
	if len(dst.Experts) > 0 {
		dst.Select(0)
	}
	return nil
}

// ReadSmall reads what block i has besides the weights of its layers: norms, router, biases.
func (d *DenseBlock) ReadSmall(ck *checkpoint.Checkpoint, i int) error {
	d.Index = i
	if err := d.Norms.Read(&ck.Config, ck, i, float32(ck.Config.NormOffset)); err != nil {
		return err
	}
	c := ck.Config.Of(i)
	if err := d.ReadRouter(c, ck); err != nil {
		return err
	}
	for _, of := range Layers(c) {
		l, name := d.Layer(of), TensorPrefix(i)+of.String()+".bias"
		l.Out, l.In = of.Shape(c)
		if !ck.Has(name) {
			l.Bias = nil
			continue
		}
		var err error
		if l.Bias, err = loadVector(ck, name, l.Bias); err != nil {
			return err
		}
	}
	return nil
}

// read reads the weights of one layer.
func (d *DenseBlock) read(ck *checkpoint.Checkpoint, of Layer) (err error) {
	l := d.Layer(of)
	l.W, err = loadVector(ck, TensorPrefix(d.Index)+of.String()+".weight", l.W)
	return err
}

// ReadRouter makes room for as many experts as c says that the block has, and reads their
// router, reusing memory; where there are none, neither is there afterwards.
func (d *DenseBlock) ReadRouter(c *checkpoint.Config, src Source) error {
	n := c.Experts.Count
	if n == 0 {
		d.Router, d.Experts = nil, nil
		return nil
	}
	if len(d.Experts) != n {
		d.Experts = make([]Expert, n)
	}
	name := TensorPrefix(d.Index) + RouterName
	w, err := loadVector(src, name, d.Router)
	if err == nil && len(w) != n*c.HiddenSize {
		err = fmt.Errorf("tensor %s: has %s, expected %d for %s", name, plural.Of(len(w), "value"), n*c.HiddenSize, plural.Of(n, "expert"))
	}
	d.Router = w
	return err
}

// RouterName is the name of the router's tensor within its block.
const RouterName = checkpoint.Router + ".weight"

// loadVector reads a tensor of any shape as float32 into dst's memory if it is
// large enough.
func loadVector(ck Source, name string, dst []float32) ([]float32, error) {
	t, err := ck.Tensor(name)
	if err != nil {
		return nil, err
	}
	dst = shape.Grow(dst, t.Elems())
	err = t.Float32(dst)
	t.Release()
	return dst, err
}

// Embed writes the embeddings of ids into x [tokens × hidden].
func Embed(ck *checkpoint.Checkpoint, x []float32, ids []int) error {
	t, err := ck.Tensor("model.embed_tokens.weight")
	if err != nil {
		return err
	}
	hidden := ck.Config.HiddenSize
	for i, id := range ids {
		if id < 0 || id >= ck.Config.VocabSize {
			return fmt.Errorf("token id %d is outside the vocabulary of %d", id, ck.Config.VocabSize)
		}
		if err := t.Rows(id, 1).Float32(x[i*hidden:][:hidden]); err != nil {
			return err
		}
	}
	ScaleEmbeddings(&ck.Config, x[:len(ids)*hidden])
	return nil
}

// ScaleEmbeddings multiplies embeddings by the architecture's factor, if it has one.
func ScaleEmbeddings(c *checkpoint.Config, x []float32) {
	if s := c.EmbeddingScale(); s != 1 {
		for i := range x {
			x[i] *= s
		}
	}
}

// Half returns a tensor of the checkpoint as a matrix that kernels read in
// place, in its stored type.
func Half(ck *checkpoint.Checkpoint, name string) (float.HalfMatrix, error) {
	t, err := ck.Tensor(name)
	if err != nil {
		return float.HalfMatrix{}, err
	}
	return HalfMatrix(t)
}

// HalfMatrix is [Half] for a tensor in hand.
func HalfMatrix(t checkpoint.Tensor) (float.HalfMatrix, error) {
	m := float.HalfMatrix{Data: t.Data}
	if len(t.Shape) != 2 {
		return m, fmt.Errorf("%s: tensor %s: has shape %v, expected a matrix", t.File, t.Name, t.Shape)
	}
	m.Rows, m.Cols = t.Shape[0], t.Shape[1]
	switch t.DType {
	case checkpoint.F32:
		m.DType = float.F32
	case checkpoint.F16:
		m.DType = float.F16
	case checkpoint.BF16:
		m.DType = float.BF16
	default:
		return m, fmt.Errorf("%s: tensor %s: has type %s, expected F32, F16 or BF16", t.File, t.Name, t.DType)
	}
	if err := m.Check(); err != nil {
		return m, fmt.Errorf("%s: tensor %s: %w", t.File, t.Name, err)
	}
	return m, nil
}

// Vector reads a tensor of n values as float32.
func Vector(ck *checkpoint.Checkpoint, name string, n int) ([]float32, error) {
	t, err := ck.Tensor(name)
	if err != nil {
		return nil, err
	}
	if t.Elems() != n {
		return nil, fmt.Errorf("%s: tensor %s: has %s, expected %d", t.File, t.Name, plural.Of(t.Elems(), "value"), n)
	}
	v := make([]float32, n)
	return v, t.Float32(v)
}
