package artefact

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/spectrum"
)

// Branch is the part of a layer that is stored in 16 bits (or 8, on a stored basis), in the
// order in which it is computed.
//
// On the output axis, rows are sorted by the number of coefficients they keep and cut into
// truncation groups of 16, each padded to its longest row. On the input axis, each column
// that keeps any coefficients is stored with them; one that keeps all of them is stored as
// the original column.
type Branch struct {
	Axis     spectrum.Axis
	Basis    string
	Out, In  int
	Truncate float64 // run-time truncation ε

	Tiles branch.HalfTiles // output axis

	Columns     []int32  // input axis: columns with coefficients, ascending
	Offset      []int32  // start of each column's coefficients, and the end
	Coeff       []uint16 // their coefficients
	FullColumns []int32  // columns kept whole
	Full        []uint16 // [full columns × out]

	Subspace *Subspace         // for stored bases, whose coefficients are in Tiles or Codes; otherwise nil
	Codes    *branch.ByteTiles // 8-bit coefficients if Subspace.Codes is set, instead of Tiles; otherwise nil
}

// NewBranch converts the coefficients kept by the spectral stage to the stored layout. They
// must be exact 16-bit floats.
func NewBranch(b *spectrum.Branch, truncate float64) *Branch {
	s := &Branch{Axis: b.Axis, Basis: b.Basis, Out: b.Rows, In: b.Cols, Truncate: truncate}
	if b.Axis == spectrum.OutputChannel {
		s.tile(b)
		return s
	}
	s.Offset = []int32{0}
	for c := range b.Cols {
		coeff := b.Coeff[b.Offset[c]:b.Offset[c+1]]
		switch {
		case len(coeff) == 0:
		case b.Full != nil && b.Full[c]:
			s.FullColumns = append(s.FullColumns, int32(c))
			s.Full = append(s.Full, toHalf(coeff)...)
		default:
			s.Columns = append(s.Columns, int32(c))
			s.Coeff = append(s.Coeff, toHalf(coeff)...)
			s.Offset = append(s.Offset, int32(len(s.Coeff)))
		}
	}
	return s
}

func toHalf(v []float32) []uint16 {
	h := make([]uint16, len(v))
	float.F32ToF16(h, v)
	return h
}

func (s *Branch) tile(b *spectrum.Branch) {
	order := make([]int32, b.Rows)
	for i := range order {
		order[i] = int32(i)
	}
	count := func(r int32) int { return b.Offset[r+1] - b.Offset[r] }
	slices.SortStableFunc(order, func(a, c int32) int { return count(c) - count(a) })
	t := branch.HalfTiles{Rows: b.Rows, Order: order}
	one := make([]float32, 0, tileRows*b.Cols)
	for first := 0; first < b.Rows; first += tileRows {
		n := count(order[first])
		rows := order[first:min(first+tileRows, b.Rows)]
		one = one[:n*tileRows]
		clear(one)
		for lane, r := range rows {
			for k, v := range b.Coeff[b.Offset[r]:b.Offset[r+1]] {
				one[k*tileRows+lane] = v
			}
		}
		t.Count = append(t.Count, n)
		t.Offset = append(t.Offset, len(t.Data))
		t.Data = append(t.Data, toHalf(one)...)
	}
	if slices.IsSorted(order) {
		t.Order = nil
	}
	s.Tiles = t
}

// MaxCoefficients is the largest number of basis vectors that any channel uses.
func (s *Branch) MaxCoefficients() int {
	if s.Codes != nil {
		return s.Codes.Count
	}
	longest := 0
	if s.Axis == spectrum.OutputChannel {
		for _, n := range s.Tiles.Count {
			longest = max(longest, n)
		}
		return longest
	}
	for i := range s.Columns {
		longest = max(longest, int(s.Offset[i+1]-s.Offset[i]))
	}
	return longest
}

// Bytes is the size of the branch on disk. A basis shared by several layers is counted in
// proportion to their outputs.
func (s *Branch) Bytes() int {
	if v := s.Subspace; v != nil {
		coeff := 2 * len(s.Tiles.Data)
		if s.Codes != nil {
			coeff = byteTilesBytes(s.Codes)
		}
		return coeff + v.bytes()*s.Out/v.Outputs
	}
	if s.Axis == spectrum.OutputChannel {
		order := 4
		if s.Out <= 1<<16 {
			order = 2
		}
		return 2*len(s.Tiles.Data) + 4*len(s.Tiles.Count) + order*len(s.Tiles.Order)
	}
	return 4*len(s.Columns) + 4*len(s.Offset) + 2*len(s.Coeff) + 4*len(s.FullColumns) + 2*len(s.Full)
}

// Spectrum converts the branch to the form of the spectral stage; rows that were padded in
// a truncation group have zero coefficients.
func (s *Branch) Spectrum() *spectrum.Branch {
	length, channels := s.In, s.Out
	if s.Axis == spectrum.InputChannel {
		length, channels = s.Out, s.In
	}
	b := &spectrum.Branch{Axis: s.Axis, Basis: s.Basis, Rows: s.Out, Cols: s.In,
		Kept: make([]int, channels), Offset: make([]int, channels+1)}
	coeff := make([][]float32, channels)
	if s.Axis == spectrum.OutputChannel {
		t := &s.Tiles
		for i := range s.Out {
			row := i
			if t.Order != nil {
				row = int(t.Order[i])
			}
			n := t.Count[i/tileRows]
			c := make([]uint16, n)
			for k := range c {
				c[k] = t.Data[t.Offset[i/tileRows]+k*tileRows+i%tileRows]
			}
			coeff[row] = toFloat(c)
		}
	} else {
		b.Full = make([]bool, channels)
		for i, c := range s.Columns {
			coeff[c] = toFloat(s.Coeff[s.Offset[i]:s.Offset[i+1]])
		}
		for i, c := range s.FullColumns {
			coeff[c] = toFloat(s.Full[i*s.Out:][:s.Out])
			b.Full[c] = true
		}
	}
	basis, err := spectrum.NewBasis(s.Basis, length)
	if err != nil {
		panic(err) // readBranch and the recipe's checks allow only known names
	}
	components := map[int]int{}
	for k := range basis.Components() + 1 {
		components[basis.Coefficients(k)] = k
	}
	for i, c := range coeff {
		b.Kept[i] = components[len(c)]
		b.Coeff = append(b.Coeff, c...)
		b.Offset[i+1] = len(b.Coeff)
	}
	return b
}

func toFloat(h []uint16) []float32 {
	v := make([]float32, len(h))
	float.F16ToF32(v, h)
	return v
}

func ints32(v []int) []int32 {
	out := make([]int32, len(v))
	for i, n := range v {
		out[i] = int32(n)
	}
	return out
}

func uints16(v []int32) []uint16 {
	out := make([]uint16, len(v))
	for i, n := range v {
		out[i] = uint16(n)
	}
	return out
}

func (s *Branch) tensors(name string) []checkpoint.TensorSpec {
	spec := func(suffix string, dtype checkpoint.DType, data []byte, shape ...int) checkpoint.TensorSpec {
		return checkpoint.TensorSpec{Name: name + suffix, DType: dtype, Shape: shape, Data: data}
	}
	if s.Codes != nil {
		return byteTensors(s.Codes, name)
	}
	if s.Subspace != nil {
		return []checkpoint.TensorSpec{spec(".coeff", checkpoint.F16, bytesOf(s.Tiles.Data), len(s.Tiles.Count), s.Subspace.Count, tileRows)}
	}
	if s.Axis == spectrum.OutputChannel {
		t := &s.Tiles
		out := []checkpoint.TensorSpec{
			spec(".count", checkpoint.I32, bytesOf(ints32(t.Count)), len(t.Count)),
			spec(".coeff", checkpoint.F16, bytesOf(t.Data), len(t.Data)),
		}
		if t.Order != nil {
			if s.Out <= 1<<16 {
				out = append(out, spec(".order", checkpoint.U16, bytesOf(uints16(t.Order)), len(t.Order)))
			} else {
				out = append(out, spec(".order", checkpoint.I32, bytesOf(t.Order), len(t.Order)))
			}
		}
		return out
	}
	return []checkpoint.TensorSpec{
		spec(".columns", checkpoint.I32, bytesOf(s.Columns), len(s.Columns)),
		spec(".offset", checkpoint.I32, bytesOf(s.Offset), len(s.Offset)),
		spec(".coeff", checkpoint.F16, bytesOf(s.Coeff), len(s.Coeff)),
		spec(".full_columns", checkpoint.I32, bytesOf(s.FullColumns), len(s.FullColumns)),
		spec(".full", checkpoint.F16, bytesOf(s.Full), len(s.FullColumns), s.Out),
	}
}

// readBranch reads the branch of the named layer; nil if it has none.
func readBranch(src Source, layer string, out, in int, q *BranchFormat) (*Branch, error) {
	if q.Stored() {
		return readSubspaceBranch(src, layer, out, in, q)
	}
	name := layer + ".branch"
	axis, err := spectrum.ParseAxis(q.Axis)
	if err != nil {
		return nil, err
	}
	s := &Branch{Axis: axis, Basis: q.Basis, Out: out, In: in, Truncate: q.Truncate}
	_, length := axis.Shape(out, in)
	basis, err := spectrum.NewBasis(q.Basis, length)
	if err != nil {
		return nil, err
	}
	legal := make([]bool, length+1) // counts that end at a whole component
	for k := range basis.Components() + 1 {
		legal[basis.Coefficients(k)] = true
	}
	if axis == spectrum.OutputChannel {
		err = s.readTiles(src, name, legal)
	} else {
		err = s.readColumns(src, name, legal)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// checkCount returns an error if a channel's number of coefficients is not allowed.
func checkCount(n int64, legal []bool) error {
	if n < 0 || n >= int64(len(legal)) {
		return fmt.Errorf("%s, expected 0 to %d", plural.Of(n, "coefficient"), len(legal)-1)
	}
	if !legal[n] {
		return fmt.Errorf("%s, expected a count that ends at a whole component", plural.Of(n, "coefficient"))
	}
	return nil
}

func (s *Branch) readTiles(src Source, name string, legal []bool) error {
	counts, err := integers(src, name+".count", (s.Out+tileRows-1)/tileRows)
	if err != nil {
		return err
	}
	t := branch.HalfTiles{Rows: s.Out}
	if t.Data, err = halves(src, name+".coeff", -1); err != nil {
		return err
	}
	end := 0
	for i, n := range counts {
		if err := checkCount(int64(n), legal); err != nil {
			return fmt.Errorf("%s: tensor %s.count: group %d has %w", fileOf(src, name+".count"), name, i, err)
		}
		t.Count = append(t.Count, int(n))
		t.Offset = append(t.Offset, end)
		if end += int(n) * tileRows; end > len(t.Data) {
			return fmt.Errorf("%s: tensor %s.coeff: has %s, group %d ends at %d", fileOf(src, name+".coeff"), name, plural.Of(len(t.Data), "value"), i, end)
		}
	}
	if end != len(t.Data) {
		return fmt.Errorf("%s: tensor %s.coeff: has %s, expected the %d that %s.count adds up to", fileOf(src, name+".coeff"), name, plural.Of(len(t.Data), "value"), end, name)
	}
	if src.Has(name + ".order") {
		if t.Order, err = integers(src, name+".order", s.Out); err != nil {
			return err
		}
		seen := make([]bool, s.Out)
		for i, r := range t.Order {
			if r < 0 || int(r) >= s.Out || seen[r] {
				return fmt.Errorf("%s: tensor %s.order: value %d at %d, expected a permutation of 0 to %d", fileOf(src, name+".order"), name, r, i, s.Out-1)
			}
			seen[r] = true
		}
	}
	s.Tiles = t
	return nil
}

func (s *Branch) readColumns(src Source, name string, legal []bool) error {
	var err error
	if s.Columns, err = integers(src, name+".columns", -1); err != nil {
		return err
	}
	if s.Offset, err = integers(src, name+".offset", len(s.Columns)+1); err != nil {
		return err
	}
	if s.Offset[0] != 0 {
		return fmt.Errorf("%s: tensor %s.offset: starts with %d, expected 0", fileOf(src, name+".offset"), name, s.Offset[0])
	}
	for i := range s.Columns {
		if err := checkCount(int64(s.Offset[i+1])-int64(s.Offset[i]), legal); err != nil {
			return fmt.Errorf("%s: tensor %s.offset: column %d of the list has %w", fileOf(src, name+".offset"), name, i, err)
		}
	}
	if s.Coeff, err = halves(src, name+".coeff", int(s.Offset[len(s.Columns)])); err != nil {
		return err
	}
	if s.FullColumns, err = integers(src, name+".full_columns", -1); err != nil {
		return err
	}
	seen := make([]bool, s.In)
	for _, list := range []struct {
		name    string
		columns []int32
	}{{".columns", s.Columns}, {".full_columns", s.FullColumns}} {
		for i, c := range list.columns {
			if c < 0 || int(c) >= s.In || i > 0 && c <= list.columns[i-1] {
				return fmt.Errorf("%s: tensor %s%s: column index %d at %d, expected ascending values below %d", fileOf(src, name+list.name), name, list.name, c, i, s.In)
			}
			if seen[c] {
				return fmt.Errorf("%s: tensor %s%s: column index %d at %d is in %s.columns too", fileOf(src, name+list.name), name, list.name, c, i, name)
			}
			seen[c] = true
		}
	}
	s.Full, err = halves(src, name+".full", len(s.FullColumns)*s.Out)
	return err
}
