package checkpoint

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// GGUF is an open GGUF file of unquantized tensors. Close must come after the
// last use of any tensor.
type GGUF struct {
	Version int

	// Metadata holds each key's value as the Go type of the same width:
	// uint8 to int64, float32, float64, bool, string, or a slice of these.
	Metadata map[string]any

	region  *region
	entries map[string]*entry // begin and end are offsets in the file
}

// ggmlTypes names the tensor types of GGUF by number, for errors.
var ggmlTypes = map[uint32]string{
	0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1",
	10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K",
	16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
	22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
	29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}

// OpenGGUF maps a GGUF file of version 1, 2 or 3 and checks its header in full.
// Tensors of other types than F32, F16 and BF16 are ErrUnsupported by name:
// a quantized file is no source for quantizing.
//
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
func OpenGGUF(path string) (*GGUF, error) {
	r, err := openRegion(path)
	if err != nil {
		return nil, err
	}
	g, err := parseGGUF(path, r, r.size)
	if err != nil {
		r.close()
		return nil, err
	}
	g.region = r
	return g, nil
}

// parseGGUF reads and checks everything before the tensors' data.
func parseGGUF(path string, r io.ReaderAt, size int64) (*GGUF, error) {
	c := newCursor(path, r, size)
	var magic [4]byte
	if c.take(magic[:], "magic") && string(magic[:]) != "GGUF" {
		return nil, malformed("%s: begins with %q, expected \"GGUF\"", path, magic[:])
	}
	v := c.u32("version")
	if c.err == nil && (v < 1 || v > 3) {
		if v&0xffff == 0 && v != 0 {
			return nil, unsupported("%s: a big-endian GGUF file, expected little-endian", path)
		}
		return nil, unsupported("%s: GGUF version %d, expected 1, 2 or 3; convert the model again or get a newer SpecQuant", path, v)
	}
	c.v1 = v == 1
	// A tensor takes at least name length, n_dims, type and offset; a key its
	// length, type and one byte of value.
	tensors := c.count("tensor count", maxGGUFTensors, 20)
	keys := c.count("metadata count", maxGGUFKeys, 9)
	g := &GGUF{Version: int(v), Metadata: map[string]any{}, entries: map[string]*entry{}}
	for i := 0; i < keys && c.err == nil; i++ {
		key := c.name(fmt.Sprintf("metadata key %d", i))
		where := fmt.Sprintf("metadata %q", key)
		if _, ok := g.Metadata[key]; ok {
			c.failf(where, "key appears twice")
		}
		g.Metadata[key] = c.value(where)
	}
	align := int64(32)
	if a, ok := g.Metadata["general.alignment"]; ok && c.err == nil {
		n, isInt := asInt(a)
		if !isInt || n < 8 || n > 1<<20 || n&(n-1) != 0 {
			c.failf("metadata \"general.alignment\"", "found %v, expected a power of two from 8 to %d", a, 1<<20)
		}
		align = n
	}
	order := make([]*entry, 0, tensors)
	for i := 0; i < tensors && c.err == nil; i++ {
		e, err := ggufEntry(c, i, align)
		if err != nil {
			return nil, err
		}
		if g.entries[e.name] != nil {
			c.failf(fmt.Sprintf("tensor %q", e.name), "name appears twice")
		}
		g.entries[e.name] = e
		order = append(order, e)
	}
	if c.err != nil {
		return nil, c.err
	}
	return g, g.place(path, order, (c.pos+align-1)/align*align, size)
}

// ggufEntry reads one tensor's header; offsets are still relative to the data.
func ggufEntry(c *cursor, i int, align int64) (*entry, error) {
	e := &entry{name: c.name(fmt.Sprintf("tensor %d: name", i))}
	where := fmt.Sprintf("tensor %q", e.name)
	dims := c.u32(where)
	if dims > 4 {
		c.failf(where, "found %d dimensions, expected at most 4", dims)
		dims = 0
	}
	e.shape = make([]int, dims)
	for d := range e.shape {
		n := c.length(where)
		if n == 0 || n > math.MaxInt {
			c.failf(where, "dimension %d is %d, expected 1 to %d", d, n, math.MaxInt)
		}
		e.shape[d] = int(n)
	}
	slices.Reverse(e.shape) // GGUF writes the fastest dimension first
	kind := c.u32(where)
	off := c.u64(where)
	if c.err != nil {
		return nil, c.err
	}
	switch kind {
	case 0:
		e.dtype = F32
	case 1:
		e.dtype = F16
	case 30:
		e.dtype = BF16
	default:
		name := ggmlTypes[kind]
		if name == "" {
			name = "unknown"
		}
		return nil, unsupported("%s: tensor %q has type %s (%d), expected F32, F16 or BF16; use a GGUF of the full-precision model", c.file, e.name, name, kind)
	}
	n, ok := product(e.shape)
	bytes, fits := e.dtype.payload(n)
	if !ok || !fits {
		c.failf(where, "shape %v: the number of elements or bytes overflows", e.shape)
		return nil, c.err
	}
	if off > math.MaxInt64/2 || off%uint64(align) != 0 || bytes > math.MaxInt64/4 {
		c.failf(where, "data offset %d with %d bytes, expected a multiple of %d within the file", off, bytes, align)
		return nil, c.err
	}
	e.begin, e.end = int64(off), int64(off)+bytes
	return e, nil
}

// place turns offsets in the data into offsets in the file, and checks that
// the tensors lie inside it without overlap.
func (g *GGUF) place(path string, order []*entry, dataOff, size int64) error {
	slices.SortFunc(order, func(a, b *entry) int { return cmp.Compare(a.begin, b.begin) })
	end, last := dataOff, ""
	for _, e := range order {
		e.begin, e.end = satAdd(e.begin, dataOff), satAdd(e.end, dataOff)
		if e.begin < end {
			return malformed("%s: tensor %q at bytes %d to %d overlaps tensor %q that ends at %d", path, e.name, e.begin, e.end, last, end)
		}
		if e.end > size {
			return malformed("%s: file is truncated: tensor %q needs bytes up to %d, file has %d; get the file again", path, e.name, e.end, size)
		}
		end, last = e.end, e.name
	}
	return nil
}

// Names lists the tensors, sorted.
func (g *GGUF) Names() []string { return slices.Sorted(maps.Keys(g.entries)) }

// Tensor returns a tensor by name, its shape in row-major order ([out, in] for
// a linear layer); false where the file has none.
func (g *GGUF) Tensor(name string) (Tensor, bool) {
	e, ok := g.entries[name]
	if !ok {
		return Tensor{}, false
	}
	t := Tensor{Name: name, DType: e.dtype, Shape: slices.Clone(e.shape), File: g.region.path, region: g.region, off: e.begin}
	t.Data, t.err = g.region.bytes(e.begin, e.end-e.begin)
	return t, true
}

// Close unmaps the file; no tensor of it may be used afterwards.
func (g *GGUF) Close() error { return g.region.close() }

// asInt is a metadata value of any integer type.
func asInt(v any) (int64, bool) {
	switch n := v.(type) {
	case uint8:
		return int64(n), true
	case int8:
		return int64(n), true
	case uint16:
		return int64(n), true
	case int16:
		return int64(n), true
	case uint32:
		return int64(n), true
	case int32:
		return int64(n), true
	case uint64:
		return int64(n), n <= math.MaxInt64
	case int64:
		return n, true
	}
	return 0, false
}
