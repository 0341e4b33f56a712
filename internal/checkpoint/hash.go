package checkpoint

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/specquant/specquant/internal/input"
)

// FileHash identifies a file's content.
type FileHash struct {
	Name   string `json:"name"` // base name
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // lower-case hexadecimal
}

// HashFiles hashes the files, several at a time, and returns the hashes in the order given,
// or the error of the first file that has one. Memory does not grow with the size of the
// files.
func HashFiles(paths ...string) ([]FileHash, error) {
	out, errs := make([]FileHash, len(paths)), make([]error, len(paths))
	size := make([]int64, len(paths))
	order := make([]int, len(paths))
	for i, p := range paths {
		order[i] = i
		if st, err := input.Stat(p); err == nil {
			size[i] = st.Size()
		}
	}
	// The largest first, so that no thread has a large file left at the end.
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(size[b], size[a]) })
	share(len(paths), func() func(i int) {
		buf := make([]byte, 1<<20)
		return func(i int) { out[order[i]], errs[order[i]] = hashFile(paths[order[i]], buf) }
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// share calls a worker for each of n pieces of work, on as many threads as there are CPUs;
// each thread creates its own worker.
func share(n int, worker func() func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			do := worker()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

func hashFile(path string, buf []byte) (FileHash, error) {
	f, _, err := openRegular(path)
	if err != nil {
		return FileHash{}, err
	}
	defer f.Close()
	h := sha256.New()
	// struct{io.Reader} hides File.WriteTo, which would not use buf.
	n, err := io.CopyBuffer(h, struct{ io.Reader }{f}, buf)
	if err != nil {
		return FileHash{}, fmt.Errorf("hash %s: %w", path, err)
	}
	return FileHash{Name: filepath.Base(path), Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// hashPiece is how many bytes of a tensor one thread hashes at a time: few enough that a
// model with a single large tensor keeps all threads busy.
const hashPiece = 1 << 20

// TensorHash is one hash of all stored tensors: of the name, type, shape, size and every
// byte of each, in the order of their names, however they are distributed over files. All
// weights are read once; later calls return the same result.
func (c *Checkpoint) TensorHash() (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tensorHash != "" {
		return c.tensorHash, nil
	}
	type piece struct {
		f   *File
		off int64 // in the file
		n   int64
	}
	var pieces []piece
	names := c.Names()
	for _, name := range names {
		f := c.where[name]
		e := f.entries[name]
		for at := e.begin; at < e.end; at += hashPiece {
			pieces = append(pieces, piece{f, f.dataOff + at, min(hashPiece, e.end-at)})
		}
	}
	sums, errs := make([][sha256.Size]byte, len(pieces)), make([]error, len(pieces))
	share(len(pieces), func() func(i int) {
		return func(i int) {
			p := pieces[i]
			data, err := p.f.region.bytes(p.off, p.n)
			if err != nil {
				errs[i] = err
				return
			}
			sums[i] = sha256.Sum256(data)
			p.f.region.release(p.off, p.n)
		}
	})
	h, next := sha256.New(), 0
	for _, name := range names {
		e := c.where[name].entries[name]
		fmt.Fprintf(h, "%q %s %v %d\n", name, e.dtype, e.shape, e.end-e.begin)
		for at := e.begin; at < e.end; at += hashPiece {
			if errs[next] != nil {
				return "", fmt.Errorf("tensor %q: %w", name, errs[next])
			}
			h.Write(sums[next][:])
			next++
		}
	}
	c.tensorHash = hex.EncodeToString(h.Sum(nil))
	return c.tensorHash, nil
}
