package artefact

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/branch"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/plural"
)

// ByteRows is a matrix of signed bytes with a 16-bit scale for each row. An element decodes
// to code·scale, which is exact in float32.
type ByteRows struct {
	Codes  []int8   // [rows × cols], −127 to 127
	Scales []uint16 // 16-bit floats [rows]
}

// byteTop is the largest code.
const byteTop = 127

// maxByteScale is the largest scale for which every code·scale is within the range of
// 16-bit floats: 127·515.5 = 65468.5, below 65504.
const maxByteScale = 515.5

// NewByteRows rounds v [rows × cols]: each row's scale is its largest magnitude
// over 127, rounded to 16 bits.
func NewByteRows(v []float32, rows, cols int) *ByteRows {
	b := &ByteRows{Codes: make([]int8, rows*cols), Scales: make([]uint16, rows)}
	for r := range rows {
		row := v[r*cols:][:cols]
		var top float32
		for _, x := range row {
			top = max(top, x, -x)
		}
		b.Scales[r] = float.ToF16(min(top/byteTop, maxByteScale))
		s := float.FromF16(b.Scales[r])
		if s == 0 {
			continue // all codes are zero
		}
		for c, x := range row {
			b.Codes[r*cols+c] = int8(min(max(math.RoundToEven(float64(x)/float64(s)), -byteTop), byteTop))
		}
	}
	return b
}

// floats returns the decoded numbers [rows × cols].
func (b *ByteRows) floats(cols int) []float32 {
	v := make([]float32, len(b.Codes))
	for i, c := range b.Codes {
		v[i] = float32(c) * float.FromF16(b.Scales[i/cols])
	}
	return v
}

// bytes is the size on disk; rows are not padded.
func (b *ByteRows) bytes() int { return len(b.Codes) + 2*len(b.Scales) }

// newByteTiles rounds a branch's coefficients [out × count] to bytes with one scale for
// each component, because magnitudes differ most between components.
func newByteTiles(coeff []float32, out, count int) *branch.ByteTiles {
	rows := NewByteRows(transposed(coeff, out, count), count, out)
	tiles := (out + tileRows - 1) / tileRows
	t := &branch.ByteTiles{Rows: out, Count: count, Codes: make([]int8, tiles*count*tileRows), Scale: toFloat(rows.Scales)}
	for k := range count {
		for r := range out {
			t.Codes[(r/tileRows*count+k)*tileRows+r%tileRows] = rows.Codes[k*out+r]
		}
	}
	return t
}

// byteTilesBytes is the size of t on disk.
func byteTilesBytes(t *branch.ByteTiles) int { return len(t.Codes) + 2*len(t.Scale) }

// byteTensors returns a branch's 8-bit coefficients in tiles of 16 outputs, name + ".coeff"
// [tiles, count, 16], and a scale for each component, name + ".scales" [count].
func byteTensors(t *branch.ByteTiles, name string) []checkpoint.TensorSpec {
	tiles := (t.Rows + tileRows - 1) / tileRows
	return []checkpoint.TensorSpec{
		{Name: name + ".coeff", DType: checkpoint.I8, Shape: []int{tiles, t.Count, tileRows}, Data: bytesOf(t.Codes)},
		{Name: name + ".scales", DType: checkpoint.F16, Shape: []int{t.Count}, Data: bytesOf(toHalf(t.Scale))},
	}
}

// readCodes reads n signed bytes without copying them.
func readCodes(src Source, name string, n int) ([]int8, error) {
	t, err := src.Tensor(name)
	if err != nil {
		return nil, err
	}
	if t.DType != checkpoint.I8 || t.Elems() != n || len(t.Data) != n {
		return nil, fmt.Errorf("%s: tensor %s: has %s of type %s, expected %d of type I8", t.File, t.Name, plural.Of(t.Elems(), "value"), t.DType, n)
	}
	if n == 0 {
		return nil, nil
	}
	return unsafe.Slice((*int8)(unsafe.Pointer(&t.Data[0])), n), nil
}

// readByteScales reads n scales; one that could exceed the range of 16-bit floats is an
// error.
func readByteScales(src Source, name string, n int) ([]uint16, error) {
	s, err := halves(src, name, n)
	if err != nil {
		return nil, err
	}
	for i, h := range s {
		if v := float.FromF16(h); v > maxByteScale || v < -maxByteScale {
			return nil, fmt.Errorf("%s: tensor %s: scale %d is %v, expected at most %v: a code times it is beyond a 16-bit float", fileOf(src, name), name, i, v, maxByteScale)
		}
	}
	return s, nil
}

// readByteRows reads a matrix of bytes (name) and the scales of its rows (scales).
func readByteRows(src Source, name, scales string, rows, cols int) (b *ByteRows, err error) {
	b = &ByteRows{}
	if b.Codes, err = readCodes(src, name, rows*cols); err != nil {
		return nil, err
	}
	b.Scales, err = readByteScales(src, scales, rows)
	return b, err
}

// readByteTiles reads the tensors written by byteTensors.
func readByteTiles(src Source, name string, out, count int) (*branch.ByteTiles, error) {
	tiles := (out + tileRows - 1) / tileRows
	codes, err := readCodes(src, name+".coeff", tiles*count*tileRows)
	if err != nil {
		return nil, err
	}
	scales, err := readByteScales(src, name+".scales", count)
	if err != nil {
		return nil, err
	}
	return &branch.ByteTiles{Rows: out, Count: count, Codes: codes, Scale: toFloat(scales)}, nil
}
