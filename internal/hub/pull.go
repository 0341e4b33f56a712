package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/specquant/specquant/internal/input"
)

// Progress receives the progress of a pull. Its methods are called by several goroutines.
type Progress interface {
	Begin(total, have int64)   // bytes of all files, and of those already here
	File(path string)          // a file is started
	Add(n int64)               // bytes have arrived, or were discarded (n < 0)
	Waiting(for_ string)       // another process is fetching the same file
	Done(path string, n int64) // a file is complete
}

// parallel is how many files are downloaded at once.
const parallel = 4

// Pulled is the result of a pull.
type Pulled struct {
	Dir     string // the snapshot's folder
	Path    string // what to open: Dir, or the GGUF file in it, of a split one the first
	Commit  string
	Files   int
	Bytes   int64 // of all files
	Fetched int64 // of those, downloaded now
}

// Pull downloads the files that a model needs. Files that are here already are not
// downloaded again, and partial ones are continued. p may be nil.
func (c *Client) Pull(ctx context.Context, n Name, p Progress) (*Pulled, error) {
	repo, err := c.List(ctx, n)
	if err != nil {
		return nil, err
	}
	files, err := repo.Wanted()
	if err != nil {
		return nil, err
	}
	if p == nil {
		p = silent{}
	}
	dir := filepath.Join(c.Cache, n.folder())
	snapshot := filepath.Join(dir, "snapshots", repo.Commit)
	for _, d := range []string{filepath.Join(dir, "blobs"), filepath.Join(dir, "refs"), snapshot, filepath.Join(c.Cache, ".locks", n.folder())} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	out := &Pulled{Dir: snapshot, Path: snapshot, Commit: repo.Commit, Files: len(files)}
	if strings.HasSuffix(strings.ToLower(files[0].Path), ".gguf") {
		out.Path = filepath.Join(snapshot, filepath.FromSlash(files[0].Path))
	}
	var have int64
	for _, f := range files {
		out.Bytes += f.Size
		have += c.present(dir, snapshot, f)
	}
	out.Fetched = out.Bytes - have
	need := out.Fetched
	if need > c.segment() {
		need += c.segment() // while one is appended
	}
	if free, ok := freeSpace(dir); ok && free < need {
		return nil, fmt.Errorf("%s needs %.1f GB more, but %s has %.1f GB free; free space there or set HF_HOME to another disk", n, float64(need)/1e9, c.Cache, float64(free)/1e9)
	}
	p.Begin(out.Bytes, have)
	if err := c.fetchAll(ctx, repo, files, dir, snapshot, p); err != nil {
		return nil, err
	}
	// Last, so that a name never refers to an incomplete model.
	return out, writeRef(filepath.Join(dir, "refs", filepath.FromSlash(n.revision())), repo.Commit)
}

// writeRef atomically makes a name refer to a commit.
func writeRef(path, commit string) error {
	if old, err := input.ReadFile(path, 1<<12); err == nil && string(old) == commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // other processes may be writing the same ref
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString(commit); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// present is how many bytes of a file have been downloaded.
func (c *Client) present(dir, snapshot string, f File) (n int64) {
	for _, path := range []string{filepath.Join(snapshot, filepath.FromSlash(f.Path)), filepath.Join(dir, "blobs", f.Hash)} {
		if st, err := input.Stat(path); err == nil && st.Mode().IsRegular() {
			return min(st.Size(), f.Size)
		}
	}
	if st, err := input.Stat(filepath.Join(dir, "blobs", f.Hash+".incomplete")); err == nil && st.Mode().IsRegular() {
		n = st.Size()
	}
	have := n
	for _, p := range parts(dir, f.Hash) {
		n += p.beyond(have)
	}
	return min(n, f.Size)
}

// fetchAll downloads the files, several at once. The first failure stops the others.
func (c *Client) fetchAll(ctx context.Context, repo *Repo, files []File, dir, snapshot string, p Progress) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	slots := make(chan struct{}, connections)
	next := make(chan File)
	for range min(parallel, len(files)) {
		wg.Go(func() {
			for f := range next {
				t := transfer{Client: c, repo: repo, file: f, dir: dir, snapshot: snapshot, progress: p, slots: slots}
				if err := t.run(ctx); err != nil {
					once.Do(func() { first = err; cancel() })
					return
				}
			}
		})
	}
feed:
	for _, f := range files {
		select {
		case next <- f:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	if first == nil {
		first = ctx.Err()
	}
	return first
}

// link creates the file of a snapshot: a link to its blob, or the blob itself if links
// can't be made.
func link(blob, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	target, err := filepath.Rel(filepath.Dir(path), blob)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	os.Remove(tmp)
	if err := symlink(target, tmp); err == nil {
		if err := os.Rename(tmp, path); err != nil {
			os.Remove(tmp)
			return err
		}
		return nil
	}
	err = os.Rename(blob, path)
	if errors.Is(err, os.ErrNotExist) {
		if _, e := input.Stat(path); e == nil {
			return nil // another process has created it
		}
	}
	return err
}

// symlink is os.Symlink, replaced in tests for systems without links.
var symlink = os.Symlink

type silent struct{}

func (silent) Begin(_, _ int64)   {}
func (silent) File(string)        {}
func (silent) Add(int64)          {}
func (silent) Waiting(string)     {}
func (silent) Done(string, int64) {}
