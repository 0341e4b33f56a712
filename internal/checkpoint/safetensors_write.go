package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/plural"
)

// dataAlign is the alignment of the data in a written file, and of every tensor for which
// it is possible: a cache line, and the widest vector register.
const dataAlign = 64

// TensorSpec is one tensor to write: either Data, little-endian and row-major, or Write,
// which must write exactly as many bytes as Shape and DType require. Write is called once,
// in the order of the file, so that a large tensor need never be completely in memory.
type TensorSpec struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte
	Write func(io.Writer) error
}

// WriteFile writes a safetensors file atomically (see AtomicFile). Equal tensors and
// metadata give equal bytes.
//
// The header is padded with spaces so that the data begins 64-byte aligned.
// The format forbids holes between tensors, so alignment inside comes from the
// order: first the tensors whose bytes are a multiple of 64, in the order
// given, all of which are therefore 64-byte aligned; then the others by
// descending element size, in the order given, each aligned to its element.
// A memory map of the file can thus be used without copying.
func WriteFile(path string, tensors []TensorSpec, metadata map[string]string) error {
	return writeFile(path, tensors, metadata, false)
}

// writeFile writes the file with or without checksums (sealed).
func writeFile(path string, tensors []TensorSpec, metadata map[string]string, sealed bool) error {
	lay, err := newLayout(path, tensors, metadata)
	if err != nil {
		return err
	}
	a, err := CreateAtomic(path, int64(len(lay.header))+lay.bytes)
	if err != nil {
		return err
	}
	defer a.Abort()
	if _, err := a.Write(lay.header); err != nil {
		return err
	}
	sums := make([]uint32, len(lay.order))
	for i, t := range lay.order {
		through := summing{w: a}
		if t.Write == nil {
			if _, err := through.Write(t.Data); err != nil {
				return err
			}
			sums[i] = through.sum
			continue
		}
		w := exactWriter{w: &through, left: lay.sizes[i]}
		if err := t.Write(&w); err != nil {
			if a.err != nil { // an error of the disk, complete already
				return a.err
			}
			return fmt.Errorf("write %s: tensor %q: %w", path, t.Name, err)
		}
		if w.left != 0 {
			return fmt.Errorf("write %s: tensor %q: %s of %d not written for shape %v of %s",
				path, t.Name, plural.Of(w.left, "byte"), lay.sizes[i], t.Shape, t.DType)
		}
		sums[i] = through.sum
	}
	if sealed {
		if err := sealHeader(lay.header, lay.inPlace(sums)); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		if err := a.replace(lay.header); err != nil {
			return err
		}
	}
	return a.Commit()
}

// layout is the complete layout of a file before its first byte is written.
type layout struct {
	header []byte // length, JSON and padding
	order  []TensorSpec
	sizes  []int64 // payload of order[i] in bytes
	bytes  int64   // sum of sizes
}

// inPlace reorders the tensors' checksums to the order in which a reader finds the tensors.
func (lay *layout) inPlace(sums []uint32) []uint32 {
	entries := make([]*entry, len(lay.order))
	of := map[*entry]uint32{}
	var at int64
	for i, t := range lay.order {
		entries[i] = &entry{name: t.Name, begin: at, end: at + lay.sizes[i]}
		of[entries[i]] = sums[i]
		at += lay.sizes[i]
	}
	slices.SortFunc(entries, byPlace)
	out := make([]uint32, len(entries))
	for i, e := range entries {
		out[i] = of[e]
	}
	return out
}

// newLayout orders the tensors of a file and writes its header.
func newLayout(path string, tensors []TensorSpec, metadata map[string]string) (*layout, error) {
	if err := checkSpecs(path, tensors); err != nil {
		return nil, err
	}
	lay := &layout{order: slices.Clone(tensors)}
	rank := func(t TensorSpec) int {
		if t.size()%dataAlign == 0 {
			return -1 << 20
		}
		return -t.DType.Bits()
	}
	slices.SortStableFunc(lay.order, func(a, b TensorSpec) int { return rank(a) - rank(b) })

	var js bytes.Buffer
	js.WriteString("{")
	if len(metadata) > 0 {
		if err := writeMetadata(&js, path, metadata); err != nil {
			return nil, err
		}
	}
	for _, t := range lay.order {
		if js.Len() > 1 {
			js.WriteByte(',')
		}
		writeJSONString(&js, t.Name)
		fmt.Fprintf(&js, `:{"dtype":%q,"shape":[`, string(t.DType))
		for i, d := range t.Shape {
			if i > 0 {
				js.WriteByte(',')
			}
			fmt.Fprint(&js, d)
		}
		n := t.size()
		if n > 1<<62-lay.bytes {
			return nil, fmt.Errorf("write %s: the tensors' total size overflows", path)
		}
		fmt.Fprintf(&js, `],"data_offsets":[%d,%d]}`, lay.bytes, lay.bytes+n)
		lay.sizes = append(lay.sizes, n)
		lay.bytes += n
	}
	js.WriteByte('}')
	for (8+js.Len())%dataAlign != 0 {
		js.WriteByte(' ')
	}
	if js.Len() > maxHeader {
		return nil, fmt.Errorf("write %s: header of %s, readers accept at most %d; write fewer tensors a file", path, plural.Of(js.Len(), "byte"), maxHeader)
	}
	lay.header = binary.LittleEndian.AppendUint64(nil, uint64(js.Len()))
	lay.header = append(lay.header, js.Bytes()...)
	return lay, nil
}

// size returns the number of bytes of a tensor that [checkSpecs] has accepted.
func (t TensorSpec) size() int64 {
	n, _ := product(t.Shape)
	b, _ := t.DType.payload(n)
	return b
}

// checkSpecs returns an error for tensors that cannot be written to one file.
func checkSpecs(path string, tensors []TensorSpec) error {
	seen := map[string]bool{"__metadata__": true}
	for _, t := range tensors {
		if seen[t.Name] || t.Name == "" || !utf8.ValidString(t.Name) {
			return fmt.Errorf("write %s: tensor name %q is repeated, reserved, empty or not UTF-8", path, t.Name)
		}
		seen[t.Name] = true
		n, ok := product(t.Shape)
		if ok {
			_, ok = t.DType.payload(n)
		}
		if !ok || len(t.Shape) > maxRank {
			return fmt.Errorf("write %s: tensor %q: shape %v of dtype %q is not a size that can be written", path, t.Name, t.Shape, t.DType)
		}
		if t.Write == nil && int64(len(t.Data)) != t.size() {
			return fmt.Errorf("write %s: tensor %q: %s of data, expected %d for shape %v of %s",
				path, t.Name, plural.Of(len(t.Data), "byte"), t.size(), t.Shape, t.DType)
		}
		if t.Write != nil && t.Data != nil {
			return fmt.Errorf("write %s: tensor %q: both Data and Write are set", path, t.Name)
		}
	}
	return nil
}

// writeMetadata writes the header's metadata, by key.
func writeMetadata(js *bytes.Buffer, path string, metadata map[string]string) error {
	js.WriteString(`"__metadata__":{`)
	for i, k := range slices.Sorted(maps.Keys(metadata)) {
		if !utf8.ValidString(k) || !utf8.ValidString(metadata[k]) {
			return fmt.Errorf("write %s: metadata %q is not UTF-8", path, k)
		}
		if i > 0 {
			js.WriteByte(',')
		}
		writeJSONString(js, k)
		js.WriteByte(':')
		writeJSONString(js, metadata[k])
	}
	js.WriteByte('}')
	return nil
}

// writeJSONString writes s as JSON without escaping <, > and &.
func writeJSONString(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)       // encoding a string never fails
	b.Truncate(b.Len() - 1) // the encoder's newline
}

// exactWriter returns an error if more than left bytes are written.
type exactWriter struct {
	w    io.Writer
	left int64
}

func (w *exactWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		return 0, fmt.Errorf("%s more than shape and dtype allow", plural.Of(int64(len(p))-w.left, "byte"))
	}
	n, err := w.w.Write(p)
	w.left -= int64(n)
	return n, err
}
