package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/ggml"
	"github.com/specquant/specquant/internal/plural"
)

// GGUF is an open GGUF file; if the model is split, all its parts. Close must come after
// the last use of any tensor.
type GGUF struct {
	Version int

	// Metadata holds each key's value as the Go type of the same width:
	// uint8 to int64, float32, float64, bool, string, or a slice of these.
	Metadata map[string]any

	path    string
	regions []*region         // the mapped files
	entries map[string]*entry // begin and end are offsets in the region of the entry
}

// maxGGUFParts is the largest number of files of a split model.
const maxGGUFParts = 1000

// OpenGGUF maps a GGUF file of version 1, 2 or 3 and checks its complete header. If it is
// the first part of a split model, the others are opened too. A tensor of an unknown type
// is ErrUnsupported and named.
//
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
func OpenGGUF(path string) (*GGUF, error) {
	g, err := openGGUFPart(path)
	if err != nil {
		return nil, err
	}
	if err := g.openParts(); err != nil {
		g.Close()
		return nil, err
	}
	return g, nil
}

func openGGUFPart(path string) (*GGUF, error) {
	r, err := openRegion(path)
	if err != nil {
		return nil, err
	}
	g, err := parseGGUF(path, r, r.size)
	if err != nil {
		r.close()
		return nil, err
	}
	g.path, g.regions = path, []*region{r}
	for _, e := range g.entries {
		e.region = r
	}
	return g, nil
}

// openParts opens the other parts of a split model, whose files are named
// NAME-00001-of-00003.gguf and so on, as llama.cpp writes them.
func (g *GGUF) openParts() error {
	meta := func(p *GGUF, key string) int64 {
		n, _ := asInt(p.Metadata[key])
		return n
	}
	count, no := meta(g, "split.count"), meta(g, "split.no")
	if count <= 1 {
		return nil
	}
	suffix := func(i int64) string { return fmt.Sprintf("-%05d-of-%05d.gguf", i+1, count) }
	stem, ok := strings.CutSuffix(g.path, suffix(0))
	switch {
	case count > maxGGUFParts:
		return malformed("%s: metadata \"split.count\" is %d, expected at most %d", g.path, count, maxGGUFParts)
	case no != 0:
		return unsupported("%s: is part %d of %d of a model; open the first part, whose name ends in %s", g.path, no+1, count, suffix(0))
	case !ok:
		return unsupported("%s: is the first of %s, expected a name that ends in %s, which the names of the others follow from; rename it", g.path, plural.Of(count, "part"), suffix(0))
	}
	for i := int64(1); i < count; i++ {
		path := stem + suffix(i)
		p, err := openGGUFPart(path)
		if errors.Is(err, fs.ErrNotExist) {
			return notFound("%s: part %d of %d is missing: %s; download it too", g.path, i+1, count, path)
		}
		if err != nil {
			return err
		}
		g.regions = append(g.regions, p.regions...)
		if c, n := meta(p, "split.count"), meta(p, "split.no"); c != count || n != i {
			return malformed("%s: its metadata say part %d of %d, expected part %d of %d; the files do not belong together", path, n+1, c, i+1, count)
		}
		for name, e := range p.entries {
			if g.entries[name] != nil {
				return malformed("%s: tensor %q is also in %s, expected it in only one part", path, name, g.entries[name].region.path)
			}
			g.entries[name] = e
		}
	}
	if want := meta(g, "split.tensors.count"); want != 0 && want != int64(len(g.entries)) {
		return malformed("%s: the %s have %s, metadata \"split.tensors.count\" says %d; download them again", g.path, plural.Of(count, "part"), plural.Of(len(g.entries), "tensor"), want)
	}
	return nil
}

// parseGGUF reads and checks everything before the tensor data.
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
			c.failf("metadata \"general.alignment\"", "%s, expected a power of two from 8 to %d", MetadataText(a), 1<<20)
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
		c.failf(where, "found %s, expected at most 4", plural.Of(dims, "dimension"))
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
	slices.Reverse(e.shape) // GGUF lists the fastest-varying dimension first
	kind := c.u32(where)
	off := c.u64(where)
	if c.err != nil {
		return nil, c.err
	}
	switch t := ggml.Types[kind]; {
	case t != nil:
		e.dtype = DType(t.Name)
	case kind == 0:
		e.dtype = F32
	case kind == 1:
		e.dtype = F16
	case kind == 30:
		e.dtype = BF16
	default:
		name := ggml.Unread[kind]
		if name == "" {
			name = "unknown"
		}
		return nil, unsupported("%s: tensor %q has type %s (%d), expected F32, F16, BF16 or a quantized type that is listed in docs/GGUF.md; get the model in another type", c.file, e.name, name, kind)
	}
	bytes, err := e.size(c, where)
	if err != nil {
		return nil, err
	}
	if off > math.MaxInt64/2 || off%uint64(align) != 0 || bytes > math.MaxInt64/4 {
		c.failf(where, "data offset %d with %s, expected a multiple of %d within the file", off, plural.Of(bytes, "byte"), align)
		return nil, c.err
	}
	e.begin, e.end = int64(off), int64(off)+bytes
	return e, nil
}

// size computes the bytes of an entry from its type and shape, neither of which is checked
// yet.
func (e *entry) size(c *cursor, where string) (int64, error) {
	n, ok := product(e.shape)
	if b := e.dtype.Block(); b != nil && ok {
		cols := 1
		if len(e.shape) > 0 {
			cols = e.shape[len(e.shape)-1]
		}
		if cols%b.Elems != 0 {
			c.failf(where, "rows of %s, expected a multiple of %d, the block of type %s", plural.Of(cols, "element"), b.Elems, e.dtype)
			return 0, c.err
		}
		if int64(n/b.Elems) <= math.MaxInt64/int64(b.Bytes) {
			return int64(n/b.Elems) * int64(b.Bytes), nil
		}
		ok = false
	}
	bytes, fits := e.dtype.payload(n)
	if !ok || !fits {
		c.failf(where, "shape %v: the number of elements or bytes overflows", e.shape)
		return 0, c.err
	}
	return bytes, nil
}

// place converts offsets in the data to offsets in the file, and checks that the tensors
// lie inside the file without overlap.
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

// Tensor returns a tensor by name, its shape in row-major order ([out, in] for a linear
// layer); false if the file has no such tensor.
func (g *GGUF) Tensor(name string) (Tensor, bool) {
	e, ok := g.entries[name]
	if !ok {
		return Tensor{}, false
	}
	t := Tensor{Name: name, DType: e.dtype, Shape: slices.Clone(e.shape), File: e.region.path, region: e.region, off: e.begin}
	t.Data, t.err = e.region.bytes(e.begin, e.end-e.begin)
	return t, true
}

// Close unmaps the files; none of their tensors may be used afterwards.
func (g *GGUF) Close() error {
	var errs []error
	for _, r := range g.regions {
		errs = append(errs, r.close())
	}
	return errors.Join(errs...)
}

// asInt converts a metadata value of any integer type.
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
