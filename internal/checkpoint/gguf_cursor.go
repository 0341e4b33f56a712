package checkpoint

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/plural"
)

// Limits on a GGUF header; each count is also compared with the bytes that remain in the
// file.
const (
	maxGGUFKeys    = 1 << 16
	maxGGUFTensors = 1 << 20
	maxGGUFString  = 16 << 20 // bytes
	maxGGUFArray   = 1 << 26  // elements
	maxGGUFName    = 1 << 16  // bytes of a key or a tensor's name
)

// cursor reads little-endian GGUF primitives from front to back and keeps the first error,
// after which everything reads as zero.
type cursor struct {
	file string
	r    *bufio.Reader
	pos  int64
	size int64
	v1   bool // lengths, counts and dimensions are 32-bit, as in version 1
	err  error
}

func newCursor(file string, r io.ReaderAt, size int64) *cursor {
	return &cursor{file: file, size: size, r: bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 1<<16)}
}

// failf records an error about the item named by where.
func (c *cursor) failf(where, format string, a ...any) {
	if c.err == nil {
		c.err = malformed("%s: %s: %s (at byte %d)", c.file, where, fmt.Sprintf(format, a...), c.pos)
	}
}

// take fills b, or fails if the file ends.
func (c *cursor) take(b []byte, where string) bool {
	if c.err != nil {
		return false
	}
	if int64(len(b)) > c.size-c.pos {
		c.failf(where, "file is truncated: %s needed, %d left; get the file again", plural.Of(len(b), "byte"), c.size-c.pos)
		return false
	}
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.err = fmt.Errorf("%s: %s: reading at byte %d: %w", c.file, where, c.pos, err)
		return false
	}
	c.pos += int64(len(b))
	return true
}

func (c *cursor) u32(where string) uint32 {
	var b [4]byte
	c.take(b[:], where)
	return binary.LittleEndian.Uint32(b[:])
}

func (c *cursor) u64(where string) uint64 {
	var b [8]byte
	c.take(b[:], where)
	return binary.LittleEndian.Uint64(b[:])
}

// length reads a length, count or dimension.
func (c *cursor) length(where string) uint64 {
	if c.v1 {
		return uint64(c.u32(where))
	}
	return c.u64(where)
}

// count reads the number of items that follow, each of at least itemBytes; a number above
// limit, or for which the file has no room, is an error.
func (c *cursor) count(where string, limit, itemBytes int64) int {
	n := c.length(where)
	if c.err != nil {
		return 0
	}
	room := (c.size - c.pos) / itemBytes
	switch {
	case n > uint64(limit):
		c.failf(where, "found a count of %d, expected at most %d", n, limit)
		return 0
	case n > uint64(room):
		c.failf(where, "file is truncated: a count of %d, room for %d; get the file again", n, room)
		return 0
	}
	return int(n)
}

func (c *cursor) str(where string, limit int64) string {
	n := c.count(where, limit, 1)
	if c.err != nil {
		return ""
	}
	b := make([]byte, n)
	c.take(b, where)
	return string(b)
}

// name reads a metadata key or a tensor's name: a non-empty UTF-8 string.
func (c *cursor) name(where string) string {
	s := c.str(where, maxGGUFName)
	if c.err == nil && (s == "" || !utf8.ValidString(s)) {
		c.failf(where, "found %q, expected a name in UTF-8", s)
	}
	return s
}

// Value types of GGUF metadata.
const (
	ggufU8 = iota
	ggufI8
	ggufU16
	ggufI16
	ggufU32
	ggufI32
	ggufF32
	ggufBool
	ggufString
	ggufArray
	ggufU64
	ggufI64
	ggufF64
)

// value reads a metadata value: a Go scalar of the same width, or a slice.
func (c *cursor) value(where string) any {
	kind := c.u32(where)
	if kind != ggufArray {
		return c.scalar(kind, where)
	}
	elem := c.u32(where)
	switch elem {
	case ggufU8:
		return scalars[uint8](c, elem, 1, where)
	case ggufI8:
		return scalars[int8](c, elem, 1, where)
	case ggufU16:
		return scalars[uint16](c, elem, 2, where)
	case ggufI16:
		return scalars[int16](c, elem, 2, where)
	case ggufU32:
		return scalars[uint32](c, elem, 4, where)
	case ggufI32:
		return scalars[int32](c, elem, 4, where)
	case ggufF32:
		return scalars[float32](c, elem, 4, where)
	case ggufBool:
		return scalars[bool](c, elem, 1, where)
	case ggufString:
		return scalars[string](c, elem, 4, where)
	case ggufU64:
		return scalars[uint64](c, elem, 8, where)
	case ggufI64:
		return scalars[int64](c, elem, 8, where)
	case ggufF64:
		return scalars[float64](c, elem, 8, where)
	}
	c.failf(where, "array of value type %d, expected a scalar or string type (0 to 12)", elem)
	return nil
}

// scalars reads an array of values of T; kind is the GGUF type of the values, each of which
// takes at least itemBytes.
func scalars[T any](c *cursor, kind uint32, itemBytes int64, where string) []T {
	n := c.count(where, maxGGUFArray, itemBytes)
	out := make([]T, 0, n)
	for range n {
		v, ok := c.scalar(kind, where).(T)
		if !ok || c.err != nil {
			return nil
		}
		out = append(out, v)
	}
	return out
}

func (c *cursor) scalar(kind uint32, where string) any {
	var b [2]byte
	switch kind {
	case ggufU8, ggufI8, ggufBool:
		c.take(b[:1], where)
		if kind == ggufI8 {
			return int8(b[0])
		}
		if kind == ggufBool {
			if b[0] > 1 {
				c.failf(where, "boolean is %d, expected 0 or 1", b[0])
			}
			return b[0] == 1
		}
		return b[0]
	case ggufU16, ggufI16:
		c.take(b[:], where)
		v := binary.LittleEndian.Uint16(b[:])
		if kind == ggufI16 {
			return int16(v)
		}
		return v
	case ggufU32:
		return c.u32(where)
	case ggufI32:
		return int32(c.u32(where))
	case ggufF32:
		return math.Float32frombits(c.u32(where))
	case ggufU64:
		return c.u64(where)
	case ggufI64:
		return int64(c.u64(where))
	case ggufF64:
		return math.Float64frombits(c.u64(where))
	case ggufString:
		return c.str(where, maxGGUFString)
	}
	c.failf(where, "unknown value type %d, expected 0 to 12", kind)
	return nil
}
