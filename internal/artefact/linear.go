// Package artefact is the quantized model on disk and in memory: what the pipeline writes
// and the engine reads. docs/FORMAT.md is its specification.
//
// manifest.go has the manifest and the reader's settings; linear.go a layer, branch.go and
// subspace.go its branch, qk.go the transform of queries and keys, table.go the embedding
// and output matrix, transform.go the run-time transforms, fallback.go deviations from the
// recipe.
package artefact

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
)

// Linear is one quantized linear layer:
//
//	y = branch(x) + scale · ((u − zero) · x) + bias
type Linear struct {
	Out, In int
	Grid    quant.Grid
	Tiles   []byte   // the integers in the kernels' layout, see integer.Matrix
	Scales  []uint16 // 16-bit floats [tile][group][16]; of a grid with multiples [tile][16]
	Zeros   []uint16 // zero points in the same order, for asymmetric grids
	Branch  *Branch  // nil: none
	Bias    []float32

	Multiples []byte // of a grid with multiples: those of all groups, see integer.PackMultiples

	Whole float.HalfMatrix // the weights of a layer that is not quantized, which has only this and a bias
}

// NewWhole makes a layer that is stored unquantized, in 16-bit floats [out × in].
func NewWhole(h []uint16, out, in int, bias []float32) *Linear {
	return &Linear{Out: out, In: in, Bias: bias, Whole: float.HalfMatrix{Data: bytesOf(h), DType: float.F16, Rows: out, Cols: in}}
}

// NewLinear packs codes q [out × in] and steps [out × groups]; the branch may be nil. run
// executes n independent pieces of work.
func NewLinear(g quant.Grid, q []int8, steps quant.Steps, out, in int, branch *Branch, bias []float32, run func(n int, fn func(i int))) *Linear {
	l := &Linear{Out: out, In: in, Grid: g, Branch: branch, Bias: bias,
		Tiles: make([]byte, integer.TileBytes(g.Bits, out, in))}
	l.eachPiece(run, func(first, rows int, tiles []byte) {
		integer.PackTiles(tiles, g.Bits, q[first*in:][:rows*in], rows, in)
	})
	if g.Multiples {
		l.Scales = l.tile(steps.Row)
		l.Multiples = make([]byte, integer.MultiplesBytes(g.Bits, out, in, g.Group))
		integer.PackMultiples(l.Multiples, g.Bits, steps.Multiple, out, in, g.Group)
		return l
	}
	l.Scales = l.tile(steps.Scale)
	if g.Zero == quant.ZeroAsymmetric {
		l.Zeros = l.tile(steps.Zero)
	}
	return l
}

// LinearBytes returns the size of a layer [out × in] on grid g in the file and in memory:
// integers, scales, multiples and zero points, without branch and bias. 16 bits are a layer that is not
// quantized.
func LinearBytes(g quant.Grid, out, in int) int64 {
	if g.Bits == quant.FullBits {
		return 2 * int64(out) * int64(in)
	}
	if g.Multiples {
		return int64(integer.TileBytes(g.Bits, out, in)) + 2*int64(integer.ScaleLen(out, in, 0)) + int64(integer.MultiplesBytes(g.Bits, out, in, g.Group))
	}
	steps := 2 * int64(integer.ScaleLen(out, in, g.Group))
	if g.Zero == quant.ZeroAsymmetric {
		steps *= 2
	}
	return int64(integer.TileBytes(g.Bits, out, in)) + steps
}

// scaleGroup is the number of inputs that share a 16-bit float; 0: the whole row.
func (l *Linear) scaleGroup() int {
	if l.Grid.Multiples {
		return 0
	}
	return l.Grid.Group
}

// rowScales is the number of 16-bit floats of a row.
func (l *Linear) rowScales() int { return quant.Grid{Group: l.scaleGroup()}.Groups(l.In) }

// tile converts parameters [out × scales] to 16-bit floats in the stored order.
func (l *Linear) tile(v []float32) []uint16 {
	tiled := make([]float32, integer.ScaleLen(l.Out, l.In, l.scaleGroup()))
	integer.PackScales(tiled, v, l.Out, l.In, l.scaleGroup())
	half := make([]uint16, len(tiled))
	float.F32ToF16(half, tiled)
	return half
}

// untile is the inverse of tile.
func (l *Linear) untile(half []uint16) []float32 {
	tiled, groups := floats(half), l.rowScales()
	v := make([]float32, l.Out*groups)
	for r := range l.Out {
		for k := range groups {
			v[r*groups+k] = tiled[(r/tileRows*groups+k)*tileRows+r%tileRows]
		}
	}
	return v
}

func floats(half []uint16) []float32 {
	v := make([]float32, len(half))
	float.F16ToF32(v, half)
	return v
}

// Steps are the parameters of the layer's grid, [out × groups].
func (l *Linear) Steps() quant.Steps {
	if l.Grid.Multiples {
		return l.multiples()
	}
	s := quant.Steps{Scale: l.untile(l.Scales), Zero: l.Grid.FixedZero()}
	if l.Zeros != nil {
		s.Zero = l.untile(l.Zeros)
	}
	return s
}

// multiples are the parameters of a grid with multiples.
func (l *Linear) multiples() quant.Steps {
	groups := l.Grid.Groups(l.In)
	s := quant.Steps{Scale: make([]float32, l.Out*groups), Zero: l.Grid.FixedZero(), Row: l.untile(l.Scales), Multiple: make([]uint8, l.Out*groups)}
	integer.UnpackMultiples(s.Multiple, l.Grid.Bits, l.Multiples, l.Out, l.In, l.Grid.Group)
	for i, m := range s.Multiple {
		s.Scale[i] = s.Row[i/groups] * l.Grid.MultipleUnit() * float32(m)
	}
	return s
}

// tileRows is the number of output channels that kernels compute together.
const tileRows = 16

func (l *Linear) tiles() int { return (l.Out + tileRows - 1) / tileRows }

// Matrix returns the integer part in the form that kernels take. The tiles, scales and multiples
// are shared, not copied.
func (l *Linear) Matrix() (*integer.Matrix, error) {
	if l.Grid.Multiples {
		return integer.NewMultiplesMatrix(l.Grid.Bits, l.Out, l.In, l.Grid.Group, l.Tiles, l.Scales, l.Multiples)
	}
	zero := l.Grid.FixedZero()
	if l.Zeros != nil {
		zero = floats(l.Zeros)
	}
	return integer.NewHalfMatrix(l.Grid.Bits, l.Out, l.In, l.Grid.Group, l.Tiles, l.Scales, zero)
}

// pieceRows is the number of rows that one thread packs or unpacks at a time.
const pieceRows = 4 * tileRows

// eachPiece calls fn with the rows and the tiles of every piece of the layer.
func (l *Linear) eachPiece(run func(n int, fn func(i int)), fn func(first, rows int, tiles []byte)) {
	size := integer.TileBytes(l.Grid.Bits, tileRows, l.In)
	run((l.Out+pieceRows-1)/pieceRows, func(i int) {
		first := i * pieceRows
		rows := min(pieceRows, l.Out-first)
		fn(first, rows, l.Tiles[first/tileRows*size:][:(rows+tileRows-1)/tileRows*size])
	})
}

// Codes writes the layer's integers to q [out × in].
func (l *Linear) Codes(q []int8, run func(n int, fn func(i int))) {
	l.eachPiece(run, func(first, rows int, tiles []byte) {
		integer.UnpackTiles(q[first*l.In:][:rows*l.In], l.Grid.Bits, tiles, rows, l.In)
	})
}

// Residual writes the decoded integer part to dst [out × in]. The integers are unpacked a piece
// at a time, because those of a large layer take much memory.
func (l *Linear) Residual(dst []float32, run func(n int, fn func(i int))) {
	steps, groups := l.Steps(), l.Grid.Groups(l.In)
	l.eachPiece(run, func(first, rows int, tiles []byte) {
		q := make([]int8, rows*l.In)
		integer.UnpackTiles(q, l.Grid.Bits, tiles, rows, l.In)
		own := quant.Steps{Scale: steps.Scale[first*groups:][:rows*groups], Zero: steps.Zero}
		if l.Zeros != nil {
			own.Zero = steps.Zero[first*groups:][:rows*groups]
		}
		l.Grid.Dequantize(dst[first*l.In:][:rows*l.In], q, own, rows, l.In, inTurn)
	})
}

// inTurn does n pieces of work one after the other.
func inTurn(n int, fn func(i int)) {
	for i := range n {
		fn(i)
	}
}

// Dense writes the decoded weights, residual plus branch, to dst [out × in].
func (l *Linear) Dense(p *parallel.Pool, dst []float32) {
	if l.Whole.Rows > 0 {
		p.Run(l.Out, func(r int) { l.Whole.Row(dst[r*l.In:][:l.In], r) })
		return
	}
	l.Residual(dst, p.Run)
	if l.Branch != nil {
		l.Branch.Removed(p, dst, l.Out)
		l.Branch.AddTo(p, dst, 1)
	}
}

// StoredBits is the size of everything stored for the weights, without the bias, in bits
// per weight.
func (l *Linear) StoredBits() float64 {
	if l.Whole.Rows > 0 {
		return 16
	}
	bytes := len(l.Tiles) + 2*len(l.Scales) + len(l.Multiples) + 2*len(l.Zeros)
	if l.Branch != nil {
		bytes += l.Branch.Bytes()
	}
	return 8 * float64(bytes) / float64(l.Out) / float64(l.In)
}

// Tensors returns the layer's tensors, named after the layer they replace:
// name + ".qweight", ".scales", ".multiples", ".zeros", ".branch.…", ".bias".
func (l *Linear) Tensors(name string) []checkpoint.TensorSpec {
	if l.Whole.Rows > 0 {
		specs := []checkpoint.TensorSpec{{Name: name + ".weight", DType: checkpoint.F16, Shape: []int{l.Out, l.In}, Data: l.Whole.Data}}
		if l.Bias != nil {
			specs = append(specs, checkpoint.TensorSpec{Name: name + ".bias", DType: checkpoint.F32, Shape: []int{l.Out}, Data: bytesOf(l.Bias)})
		}
		return specs
	}
	groups := l.rowScales()
	steps := len(l.Tiles) / l.tiles() / 64
	specs := []checkpoint.TensorSpec{
		{Name: name + ".qweight", DType: checkpoint.U8, Shape: []int{l.tiles(), steps, 64}, Data: l.Tiles},
		{Name: name + ".scales", DType: checkpoint.F16, Shape: []int{l.tiles(), groups, tileRows}, Data: bytesOf(l.Scales)},
	}
	if l.Grid.Multiples {
		specs = append(specs, checkpoint.TensorSpec{Name: name + ".multiples", DType: checkpoint.U8, Shape: []int{len(l.Multiples)}, Data: l.Multiples})
	}
	if l.Zeros != nil {
		specs = append(specs, checkpoint.TensorSpec{Name: name + ".zeros", DType: checkpoint.F16, Shape: []int{l.tiles(), groups, tileRows}, Data: bytesOf(l.Zeros)})
	}
	if l.Branch != nil {
		specs = append(specs, l.Branch.tensors(name+".branch")...)
	}
	if l.Bias != nil {
		specs = append(specs, checkpoint.TensorSpec{Name: name + ".bias", DType: checkpoint.F32, Shape: []int{l.Out}, Data: bytesOf(l.Bias)})
	}
	return specs
}

// Source returns tensors by name, as checkpoint.Checkpoint does. It returns an error if a
// tensor's data cannot be read.
type Source interface {
	Has(name string) bool
	Tensor(name string) (checkpoint.Tensor, error)
}

// ReadLinear reads the named layer of the given shape. The integers and the branch are not
// copied out of the memory map.
func ReadLinear(src Source, name string, out, in int, q *Quantization) (*Linear, error) {
	l := &Linear{Out: out, In: in}
	bits := q.LayerBits(name)
	if bits == 16 {
		if err := errors.Join(l.readWhole(src, name), l.readBias(src, name)); err != nil {
			return nil, err
		}
		return l, nil
	}
	l.Grid = q.Grid(bits)
	groups := l.rowScales()
	var err error
	if l.Tiles, err = l.bytes(src, name+".qweight", integer.TileBytes(bits, out, in)); err != nil {
		return nil, err
	}
	if l.Grid.Multiples {
		if err := l.readMultiples(src, name+".multiples"); err != nil {
			return nil, err
		}
	}
	if l.Scales, err = halves(src, name+".scales", l.tiles()*groups*tileRows); err != nil {
		return nil, err
	}
	if q.Zero == quant.ZeroAsymmetric {
		if l.Zeros, err = halves(src, name+".zeros", l.tiles()*groups*tileRows); err != nil {
			return nil, err
		}
	}
	if q.Branch != nil {
		if l.Branch, err = readBranch(src, name, out, in, q.Branch); err != nil {
			return nil, err
		}
	}
	if err := l.readBias(src, name); err != nil {
		return nil, err
	}
	return l, nil
}

// bytes returns a tensor of n bytes, which is not copied.
func (l *Linear) bytes(src Source, name string, n int) ([]byte, error) {
	t, err := src.Tensor(name)
	if err != nil {
		return nil, err
	}
	if t.DType != checkpoint.U8 || len(t.Data) != n {
		return nil, fmt.Errorf("%s: tensor %s: has %s of type %s, expected %d of type U8 for %d×%d in %s",
			t.File, t.Name, plural.Of(len(t.Data), "byte"), t.DType, n, l.Out, l.In, plural.Of(l.Grid.Bits, "bit"))
	}
	return t.Data, nil
}

// readMultiples reads the multiples of the groups' scales. All bytes are some, but for those that
// fill the last eight.
func (l *Linear) readMultiples(src Source, name string) error {
	groups := l.Grid.Groups(l.In)
	data, err := l.bytes(src, name, integer.MultiplesBytes(l.Grid.Bits, l.Out, l.In, l.Grid.Group))
	if err != nil {
		return err
	}
	used := l.tiles() * groups * tileRows * bits.Len(uint(integer.MaxMultiple(l.Grid.Bits)-1)) / 8
	for i, b := range data[used:] {
		if b != 0 {
			return fmt.Errorf("%s: tensor %s: byte %d is %d, expected 0 behind the last multiple", fileOf(src, name), name, used+i, b)
		}
	}
	l.Multiples = data
	return nil
}

// readBias reads the layer's bias if it has one.
func (l *Linear) readBias(src Source, name string) error {
	if !src.Has(name + ".bias") {
		return nil
	}
	b, err := src.Tensor(name + ".bias")
	if err != nil {
		return err
	}
	if b.Elems() != l.Out {
		return fmt.Errorf("%s: tensor %s: has %s, expected %d", b.File, b.Name, plural.Of(b.Elems(), "value"), l.Out)
	}
	l.Bias = make([]float32, l.Out)
	return b.Float32(l.Bias)
}

// readWhole reads the weights of a layer that is not quantized.
func (l *Linear) readWhole(src Source, name string) error {
	t, err := src.Tensor(name + ".weight")
	if err != nil {
		return err
	}
	if l.Whole, err = llama.HalfMatrix(t); err != nil {
		return err
	}
	if l.Whole.Rows != l.Out || l.Whole.Cols != l.In {
		err = fmt.Errorf("%s: tensor %s: has shape [%d %d], expected [%d %d]", t.File, t.Name, l.Whole.Rows, l.Whole.Cols, l.Out, l.In)
		l.Whole = float.HalfMatrix{}
	}
	return err
}

// halves reads a tensor of n finite 16-bit floats; n < 0 accepts any number.
func halves(src Source, name string, n int) ([]uint16, error) {
	t, err := src.Tensor(name)
	if err != nil {
		return nil, err
	}
	if t.DType != checkpoint.F16 || n >= 0 && t.Elems() != n {
		return nil, fmt.Errorf("%s: tensor %s: has %s of type %s, expected %stype F16", t.File, t.Name, plural.Of(t.Elems(), "value"), t.DType, numberOf(n))
	}
	out := make([]uint16, t.Elems())
	for i := range out {
		out[i] = binary.LittleEndian.Uint16(t.Data[2*i:])
		if out[i]&0x7c00 == 0x7c00 {
			return nil, fmt.Errorf("%s: tensor %s: value %d is not finite", t.File, t.Name, i)
		}
	}
	return out, nil
}

// fileOf is the name of the file that holds a tensor, for errors.
func fileOf(src Source, name string) string {
	t, _ := src.Tensor(name)
	return t.File
}

// numberOf is the expected number of values, for errors; empty if any number is accepted.
func numberOf(n int) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprintf("%d of ", n)
}

// integers reads a tensor of n values of type I32 or U16; n < 0 accepts any number.
func integers(src Source, name string, n int) ([]int32, error) {
	t, err := src.Tensor(name)
	if err != nil {
		return nil, err
	}
	if t.DType != checkpoint.I32 && t.DType != checkpoint.U16 || n >= 0 && t.Elems() != n {
		return nil, fmt.Errorf("%s: tensor %s: has %s of type %s, expected %stype I32 or U16", t.File, t.Name, plural.Of(t.Elems(), "value"), t.DType, numberOf(n))
	}
	out := make([]int32, t.Elems())
	for i := range out {
		if t.DType == checkpoint.U16 {
			out[i] = int32(binary.LittleEndian.Uint16(t.Data[2*i:]))
		} else {
			out[i] = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
	}
	return out, nil
}

// bytesOf returns numbers as their little-endian bytes without copying, which needs a
// little-endian CPU; see littleEndian.
func bytesOf[T int8 | uint16 | int32 | float32](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	size := int(unsafe.Sizeof(v[0]))
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*size)
	if littleEndian {
		return raw
	}
	out := make([]byte, len(raw))
	for i := 0; i < len(raw); i += size {
		for j := range size {
			out[i+j] = raw[i+size-1-j]
		}
	}
	return out
}

var littleEndian = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}()

// Floats is a float32 vector as a tensor.
func Floats(name string, v []float32) checkpoint.TensorSpec {
	return checkpoint.TensorSpec{Name: name, DType: checkpoint.F32, Shape: []int{len(v)}, Data: bytesOf(v)}
}
