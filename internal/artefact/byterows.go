package artefact

import (
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
)

// ByteRows is a matrix of signed bytes with a 16-bit scale for each row. What a
// number stands for is, by definition, the 16-bit float nearest to code·scale,
// ties to even: the product is exact in float32 before it is rounded once.
type ByteRows struct {
	Codes  []int8   // [rows × cols], −127 to 127
	Scales []uint16 // 16-bit floats [rows]
}

// byteTop is the largest code.
const byteTop = 127

// maxByteScale is the largest scale whose products are finite 16-bit floats:
// 127·515.5 = 65468.5, below 65504.
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
		b.Scales[r] = kernel.ToF16(min(top/byteTop, maxByteScale))
		s := kernel.FromF16(b.Scales[r])
		if s == 0 {
			continue // all codes are zero
		}
		for c, x := range row {
			b.Codes[r*cols+c] = int8(min(max(math.RoundToEven(float64(x)/float64(s)), -byteTop), byteTop))
		}
	}
	return b
}

// decodeByte is what a code stands for.
func decodeByte(code int8, scale uint16) uint16 {
	return kernel.ToF16(float32(code) * kernel.FromF16(scale))
}

// halves are the numbers as 16-bit floats [rows × cols].
func (b *ByteRows) halves(rows, cols int) []uint16 {
	h := make([]uint16, rows*cols)
	for i, c := range b.Codes {
		h[i] = decodeByte(c, b.Scales[i/cols])
	}
	return h
}

// bytes is their size on disk, rows not padded.
func (b *ByteRows) bytes() int { return len(b.Codes) + 2*len(b.Scales) }

// tiled are the tensors of a branch's coefficients, whose rows here are the
// components [count × out]: in tiles of 16 outputs as those in 16 bits, name +
// ".coeff" [tiles, count, 16], and a scale for each component, ".scales" [count].
func (b *ByteRows) tiled(name string, out, count int) []checkpoint.TensorSpec {
	tiles := (out + tileRows - 1) / tileRows
	codes := make([]int8, tiles*count*tileRows)
	for k := range count {
		for r := range out {
			codes[(r/tileRows*count+k)*tileRows+r%tileRows] = b.Codes[k*out+r]
		}
	}
	return []checkpoint.TensorSpec{
		{Name: name + ".coeff", DType: checkpoint.I8, Shape: []int{tiles, count, tileRows}, Data: bytesOf(codes)},
		{Name: name + ".scales", DType: checkpoint.F16, Shape: []int{count}, Data: bytesOf(b.Scales)},
	}
}

// readCodes reads n signed bytes.
func readCodes(src Source, name string, n int) ([]int8, checkpoint.Tensor, error) {
	t, err := src.Tensor(name)
	if err != nil {
		return nil, t, err
	}
	if t.DType != checkpoint.I8 || t.Elems() != n || len(t.Data) != n {
		return nil, t, fmt.Errorf("%s: tensor %s: has %d values of type %s, expected %d of type I8", t.File, t.Name, t.Elems(), t.DType, n)
	}
	codes := make([]int8, n)
	for i, v := range t.Data {
		codes[i] = int8(v)
	}
	return codes, t, nil
}

// checkHalves says where decoding has left the range of 16-bit floats.
func checkHalves(t checkpoint.Tensor, h []uint16) error {
	for i, v := range h {
		if v&0x7c00 == 0x7c00 {
			return fmt.Errorf("%s: tensor %s: value %d times its scale is beyond a 16-bit float", t.File, t.Name, i)
		}
	}
	return nil
}

// readByteRows reads a matrix of bytes and the tensor of its rows' scales.
func readByteRows(src Source, name, scales string, rows, cols int) (*ByteRows, error) {
	b := &ByteRows{}
	codes, t, err := readCodes(src, name, rows*cols)
	if err != nil {
		return nil, err
	}
	b.Codes = codes
	if b.Scales, err = halves(src, scales, rows); err != nil {
		return nil, err
	}
	return b, checkHalves(t, b.halves(rows, cols))
}

// readByteTiles reads what tiled has written, and gives the tiles in 16 bits too.
func readByteTiles(src Source, name string, out, count int) (*ByteRows, []uint16, error) {
	tiles := (out + tileRows - 1) / tileRows
	codes, t, err := readCodes(src, name+".coeff", tiles*count*tileRows)
	if err != nil {
		return nil, nil, err
	}
	scales, err := halves(src, name+".scales", count)
	if err != nil {
		return nil, nil, err
	}
	data := make([]uint16, len(codes))
	b := &ByteRows{Codes: make([]int8, count*out), Scales: scales}
	for i, c := range codes {
		r, k := i/tileRows/count*tileRows+i%tileRows, i/tileRows%count
		data[i] = decodeByte(c, scales[k])
		if r < out {
			b.Codes[k*out+r] = c
		}
	}
	return b, data, checkHalves(t, data)
}
