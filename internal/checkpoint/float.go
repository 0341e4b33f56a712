package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/ggml"
	"github.com/specquant/specquant/internal/plural"
)

// Float32 converts the tensor into dst, whose length must be Elems(). F32, F16 and BF16 are
// converted exactly; F64 is rounded to nearest even; quantized types of GGUF are decoded by
// package ggml. The first NaN or infinity (or F64 beyond float32's range) is an error,
// ErrNotFinite, that names file, tensor, flat index, [row,col] and value; dst is then
// partly written. A dtype that holds no floats is ErrUnsupported.
func (t Tensor) Float32(dst []float32) error {
	if t.err != nil {
		return t.err
	}
	n := t.Elems()
	if len(dst) != n {
		return fmt.Errorf("%s: tensor %q has %s %v, destination has %d", t.File, t.Name, plural.Of(n, "element"), t.Shape, len(dst))
	}
	if !t.DType.Float() {
		return unsupported("%s: tensor %q has dtype %s, expected a float type (F32, F16, BF16 or F64)", t.File, t.Name, t.DType)
	}
	if b := t.DType.Block(); b != nil {
		return t.dequantize(dst, b)
	}
	if want := n * t.DType.Size(); len(t.Data) != want {
		return malformed("%s: tensor %q has %s of data, expected %d for %s of %s",
			t.File, t.Name, plural.Of(len(t.Data), "byte"), want, plural.Of(n, "element"), t.DType)
	}
	bad := -1
	switch t.DType {
	case F32:
		bad = fromF32(dst, t.Data)
	case F16:
		bad = fromF16(dst, t.Data)
	case BF16:
		bad = fromBF16(dst, t.Data)
	case F64:
		bad = fromF64(dst, t.Data)
	}
	if bad >= 0 {
		return t.notFinite(bad)
	}
	return nil
}

// dequantize is Float32 of the quantized types of GGUF.
func (t Tensor) dequantize(dst []float32, b *ggml.Type) error {
	if want := len(dst) / b.Elems * b.Bytes; len(dst)%b.Elems != 0 || len(t.Data) != want {
		return malformed("%s: tensor %q has %s of data, expected %d for %s of %s",
			t.File, t.Name, plural.Of(len(t.Data), "byte"), want, plural.Of(len(dst), "element"), t.DType)
	}
	b.Dequantize(dst, t.Data)
	for i, v := range dst {
		if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
			return &kindError{ErrNotFinite, fmt.Sprintf("%s is %v, expected a finite float32: the scale of its %s block is damaged; get the file again", t.at(i), v, t.DType)}
		}
	}
	return nil
}

// value is element i as a float64, for error messages.
func (t Tensor) value(i int) float64 {
	le := binary.LittleEndian
	switch t.DType {
	case F64:
		return math.Float64frombits(le.Uint64(t.Data[8*i:]))
	case F32:
		return float64(math.Float32frombits(le.Uint32(t.Data[4*i:])))
	case BF16:
		return float64(math.Float32frombits(uint32(le.Uint16(t.Data[2*i:])) << 16))
	}
	// This is only called for an F16 that is not finite.
	h := le.Uint16(t.Data[2*i:])
	if h&0x3ff != 0 {
		return math.NaN()
	}
	return math.Inf(1 - 2*int(h>>15))
}

// Each of these converts len(dst) elements and returns the index of the first one that is
// not finite, or -1. A float is not finite if all bits of its exponent are ones.

func fromF32(dst []float32, src []byte) int {
	for i := range dst {
		b := binary.LittleEndian.Uint32(src[4*i:])
		if b&0x7f800000 == 0x7f800000 {
			return i
		}
		dst[i] = math.Float32frombits(b)
	}
	return -1
}

func fromBF16(dst []float32, src []byte) int {
	for i := range dst {
		b := binary.LittleEndian.Uint16(src[2*i:])
		if b&0x7f80 == 0x7f80 {
			return i
		}
		dst[i] = math.Float32frombits(uint32(b) << 16)
	}
	return -1
}

// fromF16 moves exponent and mantissa to their positions in a float32 and multiplies by
// 2^(127-15) to adjust the exponent's bias: exact for normal and subnormal numbers.
func fromF16(dst []float32, src []byte) int {
	const bias = 0x1p112
	for i := range dst {
		h := binary.LittleEndian.Uint16(src[2*i:])
		if h&0x7c00 == 0x7c00 {
			return i
		}
		f := math.Float32frombits(uint32(h&0x7fff)<<13) * bias
		dst[i] = math.Float32frombits(math.Float32bits(f) | uint32(h&0x8000)<<16)
	}
	return -1
}

func fromF64(dst []float32, src []byte) int {
	for i := range dst {
		f := float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		if math.Float32bits(f)&0x7f800000 == 0x7f800000 {
			return i
		}
		dst[i] = f
	}
	return -1
}

// AppendFloats appends src to dst in the given float type, little-endian, rounded to
// nearest even. A value that is not finite, or is out of the type's range after rounding,
// is ErrNotFinite with its index, because it could not be read back.
func AppendFloats(dst []byte, d DType, src []float32) ([]byte, error) {
	for i, f := range src {
		b := math.Float32bits(f)
		ok := b&0x7f800000 != 0x7f800000
		switch d {
		case F64:
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(float64(f)))
		case F32:
			dst = binary.LittleEndian.AppendUint32(dst, b)
		case BF16:
			h := uint16((b + 0x7fff + b>>16&1) >> 16)
			ok = ok && h&0x7f80 != 0x7f80
			dst = binary.LittleEndian.AppendUint16(dst, h)
		case F16:
			h := float16Bits(f)
			ok = ok && h&0x7c00 != 0x7c00
			dst = binary.LittleEndian.AppendUint16(dst, h)
		default:
			return dst, unsupported("cannot write floats as %s: expected F32, F16, BF16 or F64", d)
		}
		if !ok {
			return dst, &kindError{ErrNotFinite, fmt.Sprintf("element %d is %v, which %s cannot hold as a finite number", i, f, d)}
		}
	}
	return dst, nil
}

// float16Bits rounds a finite f to IEEE half precision, to nearest even;
// beyond the range it gives infinity.
func float16Bits(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b >> 16 & 0x8000)
	b &= 0x7fffffff
	switch {
	case b >= 0x47800000: // 2^16 and beyond
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: subnormal; adding 0.5 rounds at 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-math.Float32bits(0.5))
	}
	b += 0xfff + b>>13&1 // may carry into the exponent, up to infinity
	return sign | uint16((b-(127-15)<<23)>>13)
}
