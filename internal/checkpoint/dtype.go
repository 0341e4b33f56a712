package checkpoint

import (
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/ggml"
)

// DType is an element type by its safetensors name.
type DType string

// The element types of the safetensors format. From C64 on only name and size are known, so
// that a file that contains them can be described.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	BOOL DType = "BOOL"

	C64        DType = "C64"
	F8E4M3     DType = "F8_E4M3"
	F8E5M2     DType = "F8_E5M2"
	F8E8M0     DType = "F8_E8M0"
	F8E4M3FNUZ DType = "F8_E4M3FNUZ"
	F8E5M2FNUZ DType = "F8_E5M2FNUZ"
	F6E2M3     DType = "F6_E2M3"
	F6E3M2     DType = "F6_E3M2"
	F4         DType = "F4"
)

// Bits is the width of one element in bits, 0 for an unknown type.
func (d DType) Bits() int {
	switch d {
	case F64, I64, U64, C64:
		return 64
	case F32, I32, U32:
		return 32
	case F16, BF16, I16, U16:
		return 16
	case I8, U8, BOOL, F8E4M3, F8E5M2, F8E8M0, F8E4M3FNUZ, F8E5M2FNUZ:
		return 8
	case F6E2M3, F6E3M2:
		return 6
	case F4:
		return 4
	}
	return 0
}

// Size is the width of one element in whole bytes: 0 for an unknown type and for types
// smaller than a byte (F4, F6_*; see Bits).
func (d DType) Size() int { return d.Bits() / 8 }

// Float reports whether Tensor.Float32 can convert the type.
func (d DType) Float() bool { return d == F64 || d == F32 || d == F16 || d == BF16 || d.Block() != nil }

// Block is the quantized tensor type of GGUF with this name, whose elements are stored in
// blocks with their own scales; nil for all other types. Bits and Size of such a type are
// 0.
func (d DType) Block() *ggml.Type { return ggml.ByName(string(d)) }

// RowBytes is the size of a row of n elements; false if the type is unknown or the row is
// not a whole number of blocks or bytes.
func (d DType) RowBytes(n int) (int, bool) {
	if t := d.Block(); t != nil {
		return t.RowBytes(n)
	}
	size, ok := d.payload(n)
	return int(size), ok
}

// dtypeNames is the list of known types for error messages.
func dtypeNames() string {
	all := []DType{F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL, C64,
		F8E4M3, F8E5M2, F8E8M0, F8E4M3FNUZ, F8E5M2FNUZ, F6E2M3, F6E3M2, F4}
	var s []string
	for _, d := range all {
		s = append(s, string(d))
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}

// payload is the number of bytes that elems elements take; ok is false if the count
// overflows or a packed type does not fill its last byte.
func (d DType) payload(elems int) (bytes int64, ok bool) {
	bits := int64(d.Bits())
	if bits == 0 || int64(elems) > (1<<63-1)/bits {
		return 0, false
	}
	n := int64(elems) * bits
	return n / 8, n%8 == 0
}

// product is the number of elements of a shape; ok is false for a negative
// dimension or a product that overflows int.
func product(shape []int) (n int, ok bool) {
	n = 1
	for _, d := range shape {
		if d < 0 || (d > 0 && n > (1<<(intBits-1)-1)/d) {
			return 0, false
		}
		n *= d
	}
	return n, true
}
