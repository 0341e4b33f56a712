package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/specquant/specquant/internal/plural"
)

// File is an open safetensors file. Its methods are safe for concurrent use,
// except that Close must come after the last use of any tensor.
type File struct {
	// Metadata is the header's __metadata__, empty where it has none.
	Metadata map[string]string

	region  *region
	entries map[string]*entry
	dataOff int64
	sums    []sealedEntry // checksums of the tensors stored in the file, in the order of their data; nil: none
}

// OpenFile maps the safetensors file at path and checks its header in full:
// length, strict JSON, known dtypes, shapes without overflow, and tensors that
// tile the data exactly. No weight is read. Errors are ErrMalformed,
// ErrUnsupported (an unknown dtype) or the system's.
func OpenFile(path string) (*File, error) {
	r, err := openRegion(path)
	if err != nil {
		return nil, err
	}
	f, err := newFile(r)
	if err != nil {
		r.close()
		return nil, err
	}
	return f, nil
}

func newFile(r *region) (*File, error) {
	head, err := r.bytes(0, min(r.size, 8))
	if err != nil {
		return nil, err
	}
	if hint := notSafetensors(r); hint != "" {
		return nil, malformed("%s: %s", r.path, hint)
	}
	if len(head) < 8 {
		return nil, malformed("%s: file is truncated: %s, expected at least 8 for the header's length; get the file again", r.path, plural.Of(len(head), "byte"))
	}
	n := binary.LittleEndian.Uint64(head)
	if n > maxHeader {
		return nil, malformed("%s: header length is %s, expected at most %d; is this a safetensors file?", r.path, plural.Of(n, "byte"), maxHeader)
	}
	if int64(n) > r.size-8 {
		return nil, malformed("%s: file is truncated: the header needs bytes up to %d, file has %d; get the file again", r.path, 8+n, r.size)
	}
	data, err := r.bytes(8, int64(n))
	if err != nil {
		return nil, err
	}
	dataOff := 8 + int64(n)
	h, err := parseHeader(r.path, data, dataOff, r.size-dataOff)
	if err != nil {
		return nil, err
	}
	head, err = r.bytes(0, dataOff)
	if err != nil {
		return nil, err
	}
	sums, err := readSums(r.path, head, h)
	if err != nil {
		return nil, err
	}
	return &File{Metadata: h.metadata, region: r, entries: h.entries, dataOff: dataOff, sums: sums}, nil
}

// notSafetensors recognises what is often found under a .safetensors name and returns
// advice; "" if it does not recognise the content.
func notSafetensors(r *region) string {
	var b [32]byte
	n, _ := r.ReadAt(b[:], 0)
	switch head := b[:n]; {
	case n == 0:
		return "file is empty, expected a safetensors file; get it again"
	case bytes.HasPrefix(head, []byte("version https://git-lfs")):
		return "a Git LFS pointer, not the weights; run 'git lfs pull' in the model's folder"
	case bytes.HasPrefix(head, []byte("GGUF")):
		return "a GGUF file, expected safetensors; " + importHint
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("\x80\x02")):
		return "a PyTorch pickle, expected safetensors; pickles are not read because they run code: convert it to safetensors"
	}
	return ""
}

// Path is the path the file was opened with.
func (f *File) Path() string { return f.region.path }

// Names lists the tensors, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.entries)) }

// Tensor returns a tensor by name; false if the file has none. If the file is not
// memory-mapped the data is read now, and Err returns the error if that failed.
func (f *File) Tensor(name string) (Tensor, bool) {
	e, ok := f.entries[name]
	if !ok {
		return Tensor{}, false
	}
	t := Tensor{Name: name, DType: e.dtype, Shape: slices.Clone(e.shape), File: f.region.path,
		region: f.region, off: f.dataOff + e.begin}
	t.Data, t.err = f.region.bytes(t.off, e.end-e.begin)
	if t.err != nil {
		t.err = fmt.Errorf("tensor %q: %w", name, t.err)
	} else if e.make != nil {
		t.Data = e.make(t)
		t.region = nil // Data is not in the map
	}
	return t, true
}

// Bytes is the size of all tensors of the file.
func (f *File) Bytes() int64 { return f.region.size - f.dataOff }

// Close unmaps the file; no tensor of it may be used afterwards. Closing twice
// is harmless.
func (f *File) Close() error { return f.region.close() }
