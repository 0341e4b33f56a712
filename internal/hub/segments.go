package hub

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// A large file is downloaded in segments, several at once, each to a file of its own,
// HASH.incomplete.FROM, with the position of its first byte. The segment that comes next is
// appended to HASH.incomplete. This file therefore always has the first bytes of the blob and
// no holes, as other programs that share the cache expect of it when they continue it, and
// the hash is computed while it grows. Beyond it there are never more than segmentsAtOnce
// segments on the disk.

const (
	segmentSize    = 32 << 20 // bytes
	segmentsAtOnce = 4        // of one file
	connections    = 8        // of one pull, to files and segments together
)

// errNoRanges means that a file can't be downloaded in segments: the server does not send
// ranges, or different requests give different files.
var errNoRanges = errors.New("the server does not send the ranges of one unchanged file")

func (c *Client) segment() int64 {
	if c.Segment > 0 {
		return c.Segment
	}
	return segmentSize
}

// part is the file of a segment, or of its beginning.
type part struct {
	path       string
	from, size int64
}

// beyond is how many of the part's bytes come after the first at bytes of the blob.
func (p part) beyond(at int64) int64 { return max(0, p.from+p.size-max(p.from, at)) }

// parts finds the files of segments of a blob, in the order of their positions.
func parts(dir, hash string) (found []part) {
	entries, err := os.ReadDir(filepath.Join(dir, "blobs"))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), hash+".incomplete.")
		from, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil || from < 0 {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			found = append(found, part{filepath.Join(dir, "blobs", e.Name()), from, info.Size()})
		}
	}
	slices.SortFunc(found, func(a, b part) int { return int(min(max(a.from-b.from, -1), 1)) })
	return found
}

// adopt appends to the partial file of at bytes what is there of the next segments, and
// removes files that can't be continued.
func (t *transfer) adopt(f *os.File, h hash.Hash, at int64) (int64, error) {
	for _, p := range parts(t.dir, t.file.Hash) {
		end := min((p.from/t.segment()+1)*t.segment(), t.file.Size)
		switch {
		case p.from <= at && p.from+p.size <= t.file.Size:
			if p.from+p.size > at {
				if err := p.appendTo(f, h, at); err != nil {
					return at, err
				}
				at = p.from + p.size
			}
		case p.from > at && p.from%t.segment() == 0 && p.from+p.size <= end:
			continue // to be continued
		default:
			t.progress.Add(-min(p.beyond(at), t.file.Size))
		}
		if err := os.Remove(p.path); err != nil {
			return at, err
		}
	}
	return at, nil
}

// appendTo appends what the part has after the first at bytes of the blob.
func (p part) appendTo(f *os.File, h hash.Hash, at int64) error {
	from, _, err := input.Open(p.path)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := from.Seek(at-p.from, io.SeekStart); err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(f, h), from)
	if want := p.from + p.size - at; err == nil && n != want {
		err = fmt.Errorf("%s: has %s after the first %d, expected %d", p.path, plural.Of(n, "byte"), at-p.from, want)
	}
	return err
}

// removeParts deletes the files of all segments; at bytes of the blob are in the partial file.
func (t *transfer) removeParts(at int64) {
	for _, p := range parts(t.dir, t.file.Hash) {
		if os.Remove(p.path) == nil {
			t.progress.Add(-p.beyond(at))
		}
	}
}

// segments downloads the file from byte at on and appends it to f, several segments at once.
// The first failure stops the others. It returns the length of the partial file.
func (t *transfer) segments(ctx context.Context, f *os.File, h hash.Hash, at int64) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	type running struct {
		from, to int64
		done     chan struct{}
	}
	var now []running
	for next := at; at < t.file.Size; {
		for ; len(now) < segmentsAtOnce && next < t.file.Size; next = now[len(now)-1].to {
			s := running{next, min((next/t.segment()+1)*t.segment(), t.file.Size), make(chan struct{})}
			now = append(now, s)
			wg.Go(func() {
				defer close(s.done)
				if err := t.fetchSegment(ctx, s.from, s.to); err != nil {
					cancel(err)
				}
			})
		}
		<-now[0].done
		if ctx.Err() != nil {
			return at, context.Cause(ctx)
		}
		p := part{t.partPath(now[0].from), now[0].from, now[0].to - now[0].from}
		if err := p.appendTo(f, h, at); err != nil {
			return at, err
		}
		at = now[0].to
		if err := os.Remove(p.path); err != nil {
			return at, err
		}
		now = now[1:]
	}
	return at, nil
}

func (t *transfer) partPath(from int64) string {
	return filepath.Join(t.dir, "blobs", fmt.Sprintf("%s.incomplete.%d", t.file.Hash, from))
}

// fetchSegment downloads the bytes from … to − 1 to a file of their own, or the rest of them
// if the file has some.
func (t *transfer) fetchSegment(ctx context.Context, from, to int64) error {
	f, err := os.OpenFile(t.partPath(from), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	at := from + st.Size()
	err = t.retry(ctx, t.repo.Name.Repo+": "+t.file.Path, func() (bool, error) {
		if at == to {
			return false, nil
		}
		n, err := t.get(ctx, at, to, func() error { return errNoRanges }, f)
		at += n
		if err == nil && at < to {
			err = temporary{fmt.Errorf("the connection ended after %d of %s of a range", at-from, plural.Of(to-from, "byte"))}
		}
		return n > 0, err
	})
	if err != nil {
		return err
	}
	return f.Close()
}
