package artefact

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/spectrum"
)

// Subspace is a stored basis V of one input, most important vectors first, shared by the
// layers that read the input: the Karhunen-Loève basis of the calibration activations
// (klt), the singular vectors of the weights (svd), or single channels (columns).
//
// The branch of each layer is C·z with z = V·x. With Remove, the integer part is computed
// from x − Vᵀz instead of x, so that what the branch carries does not widen the
// activations' grid.
type Subspace struct {
	Width, Count int
	Vectors      []uint16 // 16-bit floats [count × width]; nil: Codes
	Remove       bool
	Outputs      int // total of all readers: each is charged its share of the bytes

	// Codes are the vectors of a basis in 8 bits; then the coefficients of its branches
	// have 8 bits too. nil: 16 bits.
	Codes *ByteRows
}

// NewSubspace makes the basis v [count × width] in 16 or 8 bits.
func NewSubspace(v []float32, count, width, bits int) *Subspace {
	s := &Subspace{Width: width, Count: count}
	if bits == 8 {
		s.Codes = NewByteRows(v, count, width)
	} else {
		s.Vectors = toHalf(v)
	}
	return s
}

// bytes is the size of the basis on disk.
func (s *Subspace) bytes() int {
	if s.Codes != nil {
		return s.Codes.bytes()
	}
	return 2 * len(s.Vectors)
}

// Floats returns the vectors as float32 [count × width].
func (s *Subspace) Floats() []float32 {
	if s.Codes != nil {
		return s.Codes.floats(s.Width)
	}
	return toFloat(s.Vectors)
}

// Projection is the product V·x as the runtime computes it.
func (s *Subspace) Projection() *branch.Projection {
	if c := s.Codes; c != nil {
		return branch.NewByteProjection(c.Codes, toFloat(c.Scales), s.Count, s.Width, s.Remove)
	}
	return branch.NewStoredProjection(s.Vectors, s.Count, s.Width, s.Remove)
}

// NewSubspaceBranch makes the branch of a layer with coefficients [out × count] on a stored
// basis. They must be exact 16-bit floats; if the basis has 8 bits, they are rounded to 8.
func NewSubspaceBranch(s *Subspace, basis string, coeff []float32, out int) *Branch {
	b := &Branch{Axis: spectrum.OutputChannel, Basis: basis, Out: out, In: s.Width, Subspace: s}
	if s.Codes != nil {
		b.Codes = newByteTiles(coeff, out, s.Count)
		return b
	}
	b.Tiles.Rows = out
	one := make([]float32, s.Count*tileRows)
	for first := 0; first < out; first += tileRows {
		clear(one)
		for lane := range min(tileRows, out-first) {
			for k := range s.Count {
				one[k*tileRows+lane] = coeff[(first+lane)*s.Count+k]
			}
		}
		b.Tiles.Count = append(b.Tiles.Count, s.Count)
		b.Tiles.Offset = append(b.Tiles.Offset, len(b.Tiles.Data))
		b.Tiles.Data = append(b.Tiles.Data, toHalf(one)...)
	}
	return b
}

// transposed returns m [rows × cols] as [cols × rows].
func transposed(m []float32, rows, cols int) []float32 {
	t := make([]float32, len(m))
	for r := range rows {
		for c := range cols {
			t[c*rows+r] = m[r*cols+c]
		}
	}
	return t
}

// Coefficients returns the coefficients of a branch on a stored basis [out × count].
func (s *Branch) Coefficients() []float32 {
	n := s.Subspace.Count
	c := make([]float32, s.Out*n)
	for r := range s.Out {
		for k := range n {
			if s.Codes != nil {
				c[r*n+k] = s.Codes.At(r, k)
				continue
			}
			c[r*n+k] = float.FromF16(s.Tiles.Data[s.Tiles.Offset[r/tileRows]+k*tileRows+r%tileRows])
		}
	}
	return c
}

// AddTo adds sign times the branch's weights to dst [out × in].
func (s *Branch) AddTo(p *parallel.Pool, dst []float32, sign float32) {
	if s.Subspace == nil {
		s.Spectrum().AddTo(dst, sign, p.Run)
		return
	}
	addProduct(p, dst, s.Coefficients(), s.Subspace.Floats(), s.Out, s.In, s.Subspace.Count, sign)
}

// Removed removes the subspace from the rows of w [rows × in] if the runtime removes it
// from the activations: w − w·VᵀV.
func (s *Branch) Removed(p *parallel.Pool, w []float32, rows int) {
	if s.Subspace == nil || !s.Subspace.Remove {
		return
	}
	n, v := s.Subspace.Count, s.Subspace.Floats()
	z := make([]float32, rows*n)
	float.MatMulNT(p, z, n, w, s.In, v, s.In, rows, n, s.In, false)
	addProduct(p, w, z, v, rows, s.In, n, -1)
}

// addProduct adds sign·a·b to dst [m × n], a [m × k], b [k × n].
func addProduct(p *parallel.Pool, dst, a, b []float32, m, n, k int, sign float32) {
	scaled := make([]float32, len(a))
	for i, v := range a {
		scaled[i] = sign * v
	}
	float.MatMulNN(p, dst, n, scaled, k, b, n, m, n, k, true)
}

// inputKeys are the names of a block's inputs in tensor names.
var inputKeys = [llama.NumInputs]string{"attn", "o", "mlp", "down"}

// InputName is the prefix of the tensors stored for the input of a layer; "" for a layer
// outside the blocks.
func InputName(layer string) string {
	for l := range llama.NumLinears {
		prefix, ok := strings.CutSuffix(layer, l.String())
		if !ok && l >= llama.Gate { // each expert has inputs of its own
			prefix, ok = strings.CutSuffix(layer, strings.TrimPrefix(l.String(), checkpoint.ExpertPrefix(-1)))
			ok = ok && strings.Contains(prefix, ".mlp.experts.")
		}
		if ok {
			return prefix + "inputs." + inputKeys[l.Input()]
		}
	}
	return ""
}

// Tensors returns the subspace as it is stored; input is the prefix from [InputName].
func (s *Subspace) Tensors(input string) []checkpoint.TensorSpec {
	basis := checkpoint.TensorSpec{Name: input + ".basis", DType: checkpoint.F16, Shape: []int{s.Count, s.Width}, Data: bytesOf(s.Vectors)}
	if s.Codes == nil {
		return []checkpoint.TensorSpec{basis}
	}
	basis.DType, basis.Data = checkpoint.I8, bytesOf(s.Codes.Codes)
	return []checkpoint.TensorSpec{basis, {Name: input + ".basis_scales", DType: checkpoint.F16, Shape: []int{s.Count}, Data: bytesOf(s.Codes.Scales)}}
}

// readSubspaceBranch reads the branch of a layer on the stored basis of its input; nil if
// the input has no basis.
func readSubspaceBranch(src Source, name string, out, in int, q *BranchFormat) (*Branch, error) {
	basis := InputName(name) + ".basis"
	if !src.Has(basis) {
		if src.Has(name + ".branch.coeff") {
			return nil, fmt.Errorf("%s: tensor %s.branch.coeff has no basis; expected a tensor %s", fileOf(src, name+".branch.coeff"), name, basis)
		}
		return nil, nil
	}
	t, err := src.Tensor(basis)
	if err != nil {
		return nil, err
	}
	if len(t.Shape) != 2 || t.Shape[1] != in || t.Shape[0] < 1 || t.Shape[0] > in {
		return nil, fmt.Errorf("%s: tensor %s: has shape %v, expected [1 to %d, %d]", t.File, t.Name, t.Shape, in, in)
	}
	s := &Subspace{Width: in, Count: t.Shape[0], Remove: q.Remove, Outputs: out}
	if q.Bits == 8 {
		if s.Codes, err = readByteRows(src, basis, InputName(name)+".basis_scales", s.Count, in); err != nil {
			return nil, err
		}
	} else if s.Vectors, err = halves(src, basis, s.Count*in); err != nil {
		return nil, err
	}
	b := &Branch{Axis: spectrum.OutputChannel, Basis: q.Basis, Out: out, In: in, Subspace: s}
	if q.Bits == 8 {
		if b.Codes, err = readByteTiles(src, name+".branch", out, s.Count); err != nil {
			return nil, err
		}
		return b, nil
	}
	b.Tiles.Rows = out
	tiles := (out + tileRows - 1) / tileRows
	for i := range tiles {
		b.Tiles.Count = append(b.Tiles.Count, s.Count)
		b.Tiles.Offset = append(b.Tiles.Offset, i*s.Count*tileRows)
	}
	if b.Tiles.Data, err = halves(src, name+".branch.coeff", tiles*s.Count*tileRows); err != nil {
		return nil, err
	}
	return b, nil
}
