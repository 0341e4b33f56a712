package checkpoint

import (
	"fmt"
	"io"
	"math"
	"os"

	"github.com/specquant/specquant/internal/plural"
)

// region is a read-only view of a whole file: a memory map if the system supports it,
// otherwise positioned reads. Concurrent reads are safe; close must come after the last use
// of any bytes that it returned.
type region struct {
	path   string
	size   int64
	mapped []byte   // nil if the file is read with ReadAt
	f      *os.File // kept open only where mapped is nil
}

// openRegion opens the regular file at path (symbolic links are followed, as
// the Hugging Face cache needs) and maps it if it can be mapped.
func openRegion(path string) (*region, error) {
	return openRegionWith(path, mapFile)
}

// openRegionWith is openRegion with the mapping function given, so that the
// ReadAt path is tested on every system.
func openRegionWith(path string, mapper func(*os.File, int64) ([]byte, error)) (*region, error) {
	f, st, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	r := &region{path: path, size: st.Size()}
	if r.size > 0 && r.size <= math.MaxInt {
		if m, err := mapper(f, r.size); err == nil {
			r.mapped = m
			return r, f.Close()
		}
	}
	r.f = f
	return r, nil
}

// bytes returns n bytes from off: a slice of the map, or a copy if the file is not mapped.
// The range is checked before anything is allocated.
func (r *region) bytes(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > r.size || n > r.size-off || n > math.MaxInt {
		return nil, malformed("%s: bytes %d to %d lie outside the file of %s", r.path, off, off+n, plural.Of(r.size, "byte"))
	}
	if r.mapped != nil {
		return r.mapped[off : off+n : off+n], nil
	}
	if r.f == nil {
		return nil, fmt.Errorf("%s: read after close", r.path)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r.f, off, n), b); err != nil {
		return nil, fmt.Errorf("%s: reading %s at %d: %w", r.path, plural.Of(n, "byte"), off, err)
	}
	return b, nil
}

// ReadAt implements io.ReaderAt over the same bytes, without allocating.
func (r *region) ReadAt(p []byte, off int64) (int, error) {
	if r.mapped == nil {
		if r.f == nil {
			return 0, fmt.Errorf("%s: read after close", r.path)
		}
		return r.f.ReadAt(p, off)
	}
	if off < 0 || off >= r.size {
		return 0, io.EOF
	}
	n := copy(p, r.mapped[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// release tells the kernel that the pages entirely inside [off, off+n) are not needed for
// now. They are read from the file again when they are accessed.
func (r *region) release(off, n int64) {
	if r.mapped == nil || off < 0 || n <= 0 || off > r.size || n > r.size-off {
		return
	}
	page := int64(os.Getpagesize())
	begin := (off + page - 1) / page * page
	end := (off + n) / page * page
	if off+n == r.size { // the last page of the map belongs to this range only
		end = r.size
	}
	if begin < end {
		dropPages(r.mapped[begin:end])
	}
}

func (r *region) close() error {
	m, f := r.mapped, r.f
	r.mapped, r.f = nil, nil
	if m != nil {
		return unmapFile(m)
	}
	if f != nil {
		return f.Close()
	}
	return nil
}
