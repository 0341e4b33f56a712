package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/plural"
)

// maxHeader is the largest safetensors header that is read, in bytes; the reference
// implementation has the same limit.
const maxHeader = 100_000_000

// maxTensors is the largest number of tensors in one file. Published files have a few
// thousand; each takes about half a kilobyte of memory.
const maxTensors = 1 << 17

// maxName is the longest name of a tensor, in bytes.
const maxName = 4096

// maxList is the longest text of a list of a tensor's dimensions or offsets, in bytes: 32
// numbers of 20 digits, with as much white space again.
const maxList = 2048

// maxRank bounds the dimensions of one tensor; model weights have at most 5.
const maxRank = 32

// entry is one tensor of a safetensors header; begin and end are byte offsets
// into the data that follows the header.
type entry struct {
	name       string
	dtype      DType
	shape      []int
	begin, end int64

	// Of GGUF only: the file, if the model has several, and a function that converts the
	// tensor's bytes; nil: no conversion.
	region *region
	make   func(t Tensor) []byte
}

// header is a safetensors header that has been checked against its file.
type header struct {
	entries  map[string]*entry
	metadata map[string]string
}

// parseHeader reads the JSON header of the safetensors file at path, whose data begins at
// byte dataOff and is dataLen bytes long. It accepts a header only if its tensors tile the
// data exactly: within bounds, without overlap or hole, and nothing after the last.
//
// Format: https://huggingface.co/docs/safetensors.
func parseHeader(path string, data []byte, dataOff, dataLen int64) (*header, error) {
	where := path + ": safetensors header"
	if !utf8.Valid(data) {
		return nil, malformed("%s: not valid UTF-8", where)
	}
	if len(data) == 0 || data[0] != '{' {
		return nil, malformed("%s: does not begin with '{'; is this a safetensors file?", where)
	}
	h := &header{entries: map[string]*entry{}, metadata: map[string]string{}}
	dec := json.NewDecoder(bytes.NewReader(data))
	err := decodeObject(dec, where, func(name string) error {
		if name == "__metadata__" {
			return decodeObject(dec, where+": __metadata__", func(key string) error {
				if len(h.metadata) == maxTensors {
					return malformed("%s: __metadata__: has more than %s, the limit for one file", where, plural.Of(maxTensors, "key"))
				}
				var raw json.RawMessage
				if err := dec.Decode(&raw); err != nil {
					return malformed("%s: __metadata__: %q: %v", where, key, err)
				}
				s, ok := jsonString(raw)
				if !ok {
					return malformed("%s: __metadata__: %q: found %s, expected a string", where, key, brief(raw))
				}
				h.metadata[key] = s
				return nil
			})
		}
		if len(h.entries) == maxTensors {
			return malformed("%s: has more than %s, the limit for one file", where, plural.Of(maxTensors, "tensor"))
		}
		if len(name) > maxName {
			return malformed("%s: the name of a tensor has %s, expected at most %d: %.60q…", where, plural.Of(len(name), "byte"), maxName, name)
		}
		e, err := decodeEntry(dec, path, name)
		h.entries[name] = e
		return err
	})
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " "); len(rest) > 0 {
		return nil, malformed("%s: found %s after the JSON object beside padding spaces", where, plural.Of(len(rest), "byte"))
	}
	return h, h.checkLayout(path, dataOff, dataLen)
}

// decodeEntry reads the {"dtype","shape","data_offsets"} object of one tensor
// and checks that its size agrees with its offsets.
func decodeEntry(dec *json.Decoder, path, name string) (*entry, error) {
	where := fmt.Sprintf("%s: tensor %q", path, name)
	e := &entry{name: name, begin: -1}
	err := decodeObject(dec, where, func(key string) error {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return malformed("%s: %s: %v", where, key, err)
		}
		return e.set(key, raw, where)
	})
	if err != nil {
		return nil, err
	}
	return e, e.check(where)
}

// set reads one field of a tensor's object. where names the file and the tensor in errors.
func (e *entry) set(key string, raw json.RawMessage, where string) error {
	switch key {
	case "dtype":
		s, ok := jsonString(raw)
		if !ok {
			return malformed("%s: dtype: found %s, expected a string", where, brief(raw))
		}
		e.dtype = DType(s)
		if e.dtype.Bits() == 0 {
			return unsupported("%s: unknown dtype %q, expected one of %s", where, s, dtypeNames())
		}
	case "shape":
		dims, err := intList(raw, maxRank)
		if err != nil {
			return malformed("%s: shape: %v", where, err)
		}
		e.shape = make([]int, len(dims))
		for i, d := range dims {
			if d < 0 || d > math.MaxInt {
				return malformed("%s: shape %v: dimension %d is %d, expected 0 or more", where, dims, i, d)
			}
			e.shape[i] = int(d)
		}
	case "data_offsets":
		o, err := intList(raw, 2)
		if err == nil && len(o) != 2 {
			err = fmt.Errorf("found %s, expected [begin, end]", plural.Of(len(o), "number"))
		}
		if err != nil {
			return malformed("%s: data_offsets: %v", where, err)
		}
		if o[0] < 0 || o[1] < o[0] {
			return malformed("%s: data_offsets %v: expected 0 <= begin <= end", where, o)
		}
		e.begin, e.end = o[0], o[1]
	default:
		return malformed("%s: unknown field %q, expected dtype, shape and data_offsets", where, key)
	}
	return nil
}

// check reports a field that is missing, or offsets that do not span the tensor's size.
func (e *entry) check(where string) error {
	switch {
	case e.dtype == "":
		return malformed("%s: dtype is missing", where)
	case e.shape == nil:
		return malformed("%s: shape is missing", where)
	case e.begin < 0:
		return malformed("%s: data_offsets is missing", where)
	}
	n, ok := product(e.shape)
	if !ok {
		return malformed("%s: shape %v: the number of elements overflows", where, e.shape)
	}
	want, ok := e.dtype.payload(n)
	if !ok {
		return malformed("%s: shape %v of %s: the number of bytes overflows or is not whole", where, e.shape, e.dtype)
	}
	if got := e.end - e.begin; got != want {
		return malformed("%s: data_offsets [%d, %d] span %s, expected %d for shape %v of %s",
			where, e.begin, e.end, plural.Of(got, "byte"), want, e.shape, e.dtype)
	}
	return nil
}

// checkLayout verifies that the tensors tile [0, dataLen) without overlap,
// hole or trailing bytes.
func (h *header) checkLayout(path string, dataOff, dataLen int64) error {
	order := make([]*entry, 0, len(h.entries))
	for _, e := range h.entries {
		order = append(order, e)
	}
	slices.SortFunc(order, func(a, b *entry) int {
		switch {
		case a.begin != b.begin:
			return cmp.Compare(a.begin, b.begin)
		case a.end != b.end:
			return cmp.Compare(a.end, b.end)
		}
		return strings.Compare(a.name, b.name)
	})
	var end int64
	for i, e := range order {
		switch {
		case e.begin < end:
			return malformed("%s: tensor %q at bytes %d to %d overlaps tensor %q that ends at %d",
				path, e.name, e.begin, e.end, order[i-1].name, end)
		case e.begin > end:
			return malformed("%s: hole of %s before tensor %q at %d; safetensors allows none",
				path, plural.Of(e.begin-end, "byte"), e.name, e.begin)
		}
		end = e.end
		if end > dataLen {
			return malformed("%s: file is truncated: tensor %q needs bytes up to %d, file has %d; get the file again",
				path, e.name, satAdd(dataOff, end), dataOff+dataLen)
		}
	}
	if end < dataLen {
		return malformed("%s: file is oversized: its tensors end at byte %d, file has %d; get the file again",
			path, dataOff+end, dataOff+dataLen)
	}
	return nil
}

// intList parses raw as a list of at most limit whole numbers.
func intList(raw json.RawMessage, limit int) ([]int64, error) {
	var items []json.RawMessage
	if len(raw) > maxList {
		return nil, fmt.Errorf("found %s, expected a list of at most %s", plural.Of(len(raw), "byte"), plural.Of(limit, "number"))
	}
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		return nil, fmt.Errorf("found %s, expected a list of whole numbers", brief(raw))
	}
	if len(items) > limit {
		return nil, fmt.Errorf("found %s, expected at most %d", plural.Of(len(items), "number"), limit)
	}
	out := make([]int64, len(items))
	for i, it := range items {
		n, err := jsonInt(it)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// satAdd adds two non-negative numbers, staying at the maximum on overflow.
func satAdd(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
