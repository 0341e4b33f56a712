// Package ggml decodes the quantized tensor types of GGUF files.
//
// A tensor is a sequence of blocks. For every type, a block can be written as small integers q
// with a scale, and for some types a minimum, for each group of 16 or more weights,
//
//	weight[i] = scale[i/group] · q[i] − min[i/group]
//
// even if the file stores indices into tables instead of the integers. (Where an index has 4
// bits and the table is always the same, q is the index, and the integer is Levels[q].) So each
// type is one function from a block's bytes to a [Block], and code that uses the weights, as floats or as
// integers, is the same for all types.
//
// The layouts are those of ggml (https://github.com/ggml-org/ggml); the values are
// bit by bit those of its Python package gguf, which the tests compare with.
package ggml

import "fmt"

// MaxElems is the largest number of weights in a block, and MaxGroups the largest
// number of groups.
const (
	MaxElems  = 256
	MaxGroups = 16
)

// Block is a decoded block. The first Elems of Q, and the first Elems/Group of Scale and Min,
// are in use.
type Block struct {
	Q     [MaxElems]int8
	Scale [MaxGroups]float32
	Min   [MaxGroups]float32 // all 0 for types without a minimum
}

// Type is a tensor type of quantized weights. A row of a tensor is a whole number
// of blocks.
type Type struct {
	Name   string
	Number uint32 // in the file
	Elems  int    // weights in a block
	Bytes  int    // bytes of a block
	Group  int    // weights that share a scale

	// Bits is the number of bits that hold every q: from −2^(Bits−1) to 2^(Bits−1)−1, or
	// from 0 to 2^Bits−1 for types with a minimum or levels.
	Bits   int
	HasMin bool

	// Levels are the integers that q stands for, with 4 bits and no minimum; nil: q itself.
	Levels *[16]int8

	decode func(b *Block, src []byte)
}

// Decode reads one block of t.Bytes bytes.
func (t *Type) Decode(b *Block, src []byte) { t.decode(b, src[:t.Bytes:t.Bytes]) }

// Groups is the number of groups of a block.
func (t *Type) Groups() int { return t.Elems / t.Group }

// RowBytes returns the size in bytes of a row of that many weights; false if that is not a
// whole number of blocks.
func (t *Type) RowBytes(elems int) (int, bool) {
	return elems / t.Elems * t.Bytes, elems%t.Elems == 0
}

// Dequantize writes the weights of whole blocks to dst: len(src)/t.Bytes·t.Elems
// values. Products and differences are each rounded to float32. Scales are not checked, so that
// values may be infinite or NaN.
func (t *Type) Dequantize(dst []float32, src []byte) {
	if len(src)%t.Bytes != 0 || len(src)/t.Bytes*t.Elems != len(dst) {
		panic(fmt.Sprintf("ggml: %d bytes of %s into %d values", len(src), t.Name, len(dst)))
	}
	var b Block
	for ; len(src) > 0; src, dst = src[t.Bytes:], dst[t.Elems:] {
		t.Decode(&b, src)
		for g := range t.Groups() {
			s, m := b.Scale[g], b.Min[g]
			q, to := b.Q[g*t.Group:][:t.Group], dst[g*t.Group:][:t.Group]
			if t.Levels != nil {
				for i, v := range q {
					to[i] = s * float32(t.Levels[v&15])
				}
				continue
			}
			if !t.HasMin {
				for i, v := range q {
					to[i] = s * float32(v)
				}
				continue
			}
			for i, v := range q {
				to[i] = float32(s*float32(v)) - m
			}
		}
	}
}

// Types are the supported types, by their number in the file.
var Types = byNumber(
	&Type{Name: "Q4_0", Number: 2, Elems: 32, Bytes: 18, Group: 32, Bits: 4, decode: decodeQ4_0},
	&Type{Name: "Q4_1", Number: 3, Elems: 32, Bytes: 20, Group: 32, Bits: 4, HasMin: true, decode: decodeQ4_1},
	&Type{Name: "Q5_0", Number: 6, Elems: 32, Bytes: 22, Group: 32, Bits: 5, decode: decodeQ5_0},
	&Type{Name: "Q5_1", Number: 7, Elems: 32, Bytes: 24, Group: 32, Bits: 5, HasMin: true, decode: decodeQ5_1},
	&Type{Name: "Q8_0", Number: 8, Elems: 32, Bytes: 34, Group: 32, Bits: 8, decode: decodeQ8_0},
	&Type{Name: "Q2_K", Number: 10, Elems: 256, Bytes: 84, Group: 16, Bits: 2, HasMin: true, decode: decodeQ2_K},
	&Type{Name: "Q3_K", Number: 11, Elems: 256, Bytes: 110, Group: 16, Bits: 3, decode: decodeQ3_K},
	&Type{Name: "Q4_K", Number: 12, Elems: 256, Bytes: 144, Group: 32, Bits: 4, HasMin: true, decode: decodeQ4_K},
	&Type{Name: "Q5_K", Number: 13, Elems: 256, Bytes: 176, Group: 32, Bits: 5, HasMin: true, decode: decodeQ5_K},
	&Type{Name: "Q6_K", Number: 14, Elems: 256, Bytes: 210, Group: 16, Bits: 6, decode: decodeQ6_K},
	&Type{Name: "IQ2_XXS", Number: 16, Elems: 256, Bytes: 66, Group: 32, Bits: 7, decode: decodeIQ2_XXS},
	&Type{Name: "IQ2_XS", Number: 17, Elems: 256, Bytes: 74, Group: 16, Bits: 7, decode: decodeIQ2_XS},
	&Type{Name: "IQ3_XXS", Number: 18, Elems: 256, Bytes: 98, Group: 32, Bits: 7, decode: decodeIQ3_XXS},
	&Type{Name: "IQ1_S", Number: 19, Elems: 256, Bytes: 50, Group: 32, Bits: 5, decode: decodeIQ1_S},
	&Type{Name: "IQ4_NL", Number: 20, Elems: 32, Bytes: 18, Group: 32, Bits: 4, Levels: &iq4Values, decode: decodeIQ4_NL},
	&Type{Name: "IQ3_S", Number: 21, Elems: 256, Bytes: 110, Group: 32, Bits: 5, decode: decodeIQ3_S},
	&Type{Name: "IQ2_S", Number: 22, Elems: 256, Bytes: 82, Group: 16, Bits: 7, decode: decodeIQ2_S},
	&Type{Name: "IQ4_XS", Number: 23, Elems: 256, Bytes: 136, Group: 32, Bits: 4, Levels: &iq4Values, decode: decodeIQ4_XS},
	&Type{Name: "IQ1_M", Number: 29, Elems: 256, Bytes: 56, Group: 16, Bits: 5, decode: decodeIQ1_M},
	&Type{Name: "TQ1_0", Number: 34, Elems: 256, Bytes: 54, Group: 256, Bits: 2, decode: decodeTQ1_0},
	&Type{Name: "TQ2_0", Number: 35, Elems: 256, Bytes: 66, Group: 256, Bits: 3, decode: decodeTQ2_0},
	&Type{Name: "MXFP4", Number: 39, Elems: 32, Bytes: 17, Group: 32, Bits: 4, Levels: &fp4Values, decode: decodeMXFP4},
	&Type{Name: "NVFP4", Number: 40, Elems: 64, Bytes: 36, Group: 16, Bits: 4, Levels: &fp4Values, decode: decodeNVFP4},
)

func byNumber(types ...*Type) map[uint32]*Type {
	m := make(map[uint32]*Type, len(types))
	for _, t := range types {
		m[t.Number] = t
	}
	return m
}

// ByName returns the type with the given name in ggml; nil if there is none.
func ByName(name string) *Type { return byName[name] }

var byName = func() map[string]*Type {
	m := make(map[string]*Type, len(Types))
	for _, t := range Types {
		m[t.Name] = t
	}
	return m
}()

// Unread has the names of unsupported types by number, for error messages: plain integers, and
// types that ggml uses for activations only.
var Unread = map[uint32]string{
	4: "Q4_2 (removed from ggml)", 5: "Q4_3 (removed from ggml)", 9: "Q8_1", 15: "Q8_K",
	24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
	31: "Q4_0_4_4 (removed from ggml)", 32: "Q4_0_4_8 (removed from ggml)", 33: "Q4_0_8_8 (removed from ggml)",
	36: "IQ4_NL_4_4 (removed from ggml)", 37: "IQ4_NL_4_8 (removed from ggml)", 38: "IQ4_NL_8_8 (removed from ggml)",
	41: "Q1_0",
}
