package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// transfer downloads one file.
type transfer struct {
	*Client
	repo          *Repo
	file          File
	dir, snapshot string
	progress      Progress
	slots         chan struct{} // one for each connection that the pull may have; nil: any number

	mu   sync.Mutex
	etag string // of the response that the partial file came from; "": unknown
}

func (t *transfer) run(ctx context.Context) error {
	path := filepath.Join(t.snapshot, filepath.FromSlash(t.file.Path))
	blob := filepath.Join(t.dir, "blobs", t.file.Hash)
	if st, err := input.Stat(path); err == nil && st.Size() == t.file.Size {
		return nil
	}
	unlock, err := t.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if st, err := input.Stat(blob); err == nil && st.Size() == t.file.Size {
		return link(blob, path) // complete, perhaps downloaded by the process that had the lock
	}
	t.progress.File(t.file.Path)
	partial := blob + ".incomplete"
	f, err := os.OpenFile(partial, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.download(ctx, f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(partial, blob); err != nil {
		return err
	}
	os.Remove(partial + ".etag")
	t.removeParts(t.file.Size)
	t.progress.Done(t.file.Path, t.file.Size)
	return link(blob, path)
}

// lock keeps other processes from downloading the same file.
func (t *transfer) lock(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(t.Cache, ".locks", t.repo.Name.folder(), t.file.Hash+".lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for said := false; ; {
		ok, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, err
		}
		if ok {
			return func() { f.Close() }, nil
		}
		if !said {
			t.progress.Waiting(t.file.Path)
			said = true
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// newHash returns the hash that names the blob: sha256, or git's sha1 for a small file.
func (t *transfer) newHash() hash.Hash {
	if len(t.file.Hash) == 64 {
		return sha256.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", t.file.Size)
	return h
}

// download completes the partial file and checks it. A file with a wrong hash is downloaded
// once more from the beginning, because the partial file may have belonged to another
// version.
func (t *transfer) download(ctx context.Context, f *os.File) error {
	for again := range 2 {
		err := t.whole(ctx, f)
		var wrong *hashError
		if !errors.As(err, &wrong) {
			return err
		}
		if e := t.restart(f); e != nil {
			return e
		}
		if again == 1 {
			return err
		}
		if t.Log != nil {
			t.Log("%v; fetching it once more", err)
		}
	}
	return nil
}

// hashError means that the downloaded file is not the one that the hub lists.
type hashError struct{ path, got, want string }

func (e *hashError) Error() string {
	return fmt.Sprintf("%s: the downloaded file has the hash %s, expected %s by the hub's list; the hub, or something on the way, is faulty", e.path, e.got, e.want)
}

func (t *transfer) whole(ctx context.Context, f *os.File) error {
	h := t.newHash()
	at, err := t.resumed(f, h)
	if err != nil {
		return err
	}
	if at, err = t.adopt(f, h, at); err != nil {
		return err
	}
	if t.file.Size-at > t.segment() {
		at, err = t.segments(ctx, f, h, at)
		if err != nil && !errors.Is(err, errNoRanges) {
			return err
		}
	}
	t.removeParts(at) // none, if segments were possible
	w := io.MultiWriter(f, h)
	err = t.retry(ctx, t.repo.Name.Repo+": "+t.file.Path, func() (bool, error) {
		if at == t.file.Size {
			return false, nil
		}
		n, err := t.get(ctx, at, t.file.Size, func() error { // from the beginning, because the server will not continue
			t.progress.Add(-at)
			at = 0
			h.Reset()
			if len(t.file.Hash) == 40 {
				fmt.Fprintf(h, "blob %d\x00", t.file.Size)
			}
			if err := f.Truncate(0); err != nil {
				return err
			}
			_, err := f.Seek(0, io.SeekStart)
			return err
		}, w)
		at += n
		if err == nil && at < t.file.Size {
			err = temporary{fmt.Errorf("the connection ended after %d of %s", at, plural.Of(t.file.Size, "byte"))}
		}
		return n > 0, err
	})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != t.file.Hash {
		return &hashError{t.file.Path, got, t.file.Hash}
	}
	return nil
}

// resumed reads the partial file into the hash and returns its length.
func (t *transfer) resumed(f *os.File, h hash.Hash) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if st.Size() > t.file.Size {
		return 0, t.restart(f)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if data, err := input.ReadFile(f.Name()+".etag", 1<<12); err == nil && len(data) < 1024 {
		t.etag = string(data)
	}
	return io.Copy(h, f)
}

func (t *transfer) restart(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	t.progress.Add(-min(st.Size(), t.file.Size))
	t.removeParts(st.Size())
	t.etag = ""
	os.Remove(f.Name() + ".etag")
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// get requests the bytes at … to − 1 of the file and writes what arrives. fresh is called
// before the first byte if the server sends the file from its beginning instead.
func (t *transfer) get(ctx context.Context, at, to int64, fresh func() error, w io.Writer) (n int64, err error) {
	if t.slots != nil {
		select {
		case t.slots <- struct{}{}:
			defer func() { <-t.slots }()
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := t.request(ctx, t.address())
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	ranged := t.setRange(req.Header, at, to)
	resp, err := t.client().Do(req)
	if err != nil {
		return 0, temporary{err}
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && ranged {
		if err := fresh(); err != nil {
			return 0, err
		}
		return 0, temporary{errors.New("the server does not have the rest of the file")}
	}
	if err := t.status(t.repo.Name, t.file.Path, resp); err != nil {
		return 0, err
	}
	switch {
	case resp.StatusCode == http.StatusPartialContent && ranged:
		if err := t.checkRange(resp.Header, at, fresh); err != nil {
			return 0, err
		}
	case ranged: // the whole file: it has changed, or the server has no ranges
		if err := fresh(); err != nil {
			return 0, err
		}
		at = 0
	}
	if l := resp.ContentLength; l >= 0 && l > to-at {
		if to < t.file.Size { // the end of the range was ignored
			return 0, fresh()
		}
		return 0, fmt.Errorf("%s: %s: the server sends %s, the hub lists %d", t.repo.Name.Repo, t.file.Path, plural.Of(l+at, "byte"), to)
	}
	t.setETag(resp.Header.Get("ETag"))
	return t.copy(w, resp.Body, to-at, cancel)
}

// address is the path of the file at the hub.
func (t *transfer) address() string {
	parts := strings.Split(t.file.Path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return "/" + t.repo.Name.Repo + "/resolve/" + t.repo.Commit + "/" + strings.Join(parts, "/")
}

// checkRange returns an error, after which the request is repeated, if the server sends another range than that from at on, or
// another version of the file than the one of which the bytes before were received.
func (t *transfer) checkRange(h http.Header, at int64, fresh func() error) error {
	if from, ok := rangeStart(h.Get("Content-Range")); !ok || from != at {
		return temporary{fmt.Errorf("the server sends %q, requested from byte %d", clip(h.Get("Content-Range")), at)}
	}
	if !t.sameETag(h.Get("ETag")) {
		if err := fresh(); err != nil {
			return err
		}
		return temporary{errors.New("the file has changed on the server")}
	}
	return nil
}

// setRange asks for the bytes at … to − 1, unless they are the whole file.
func (t *transfer) setRange(h http.Header, at, to int64) bool {
	switch {
	case to < t.file.Size:
		h.Set("Range", fmt.Sprintf("bytes=%d-%d", at, to-1))
	case at > 0:
		h.Set("Range", fmt.Sprintf("bytes=%d-", at))
	default:
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.etag != "" && !strings.HasPrefix(t.etag, "W/") { // weak tags do not guarantee equal bytes
		h.Set("If-Range", t.etag)
	}
	return true
}

// sameETag reports whether a tag belongs to the file under way. The tag of another file is
// stored.
func (t *transfer) sameETag(tag string) bool {
	t.mu.Lock()
	same := t.etag == "" || tag == "" || tag == t.etag
	t.mu.Unlock()
	if !same {
		t.setETag(tag)
	}
	return same
}

// setETag stores the tag of the current download, for this and a later process.
func (t *transfer) setETag(tag string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if tag == t.etag || len(tag) >= 1024 {
		return
	}
	t.etag = tag
	os.WriteFile(filepath.Join(t.dir, "blobs", t.file.Hash+".incomplete.etag"), []byte(tag), 0o644)
}

// copy reads at most limit bytes, and closes a connection that sends nothing.
func (t *transfer) copy(w io.Writer, body io.Reader, limit int64, cancel func()) (n int64, err error) {
	stall := t.Stall
	if stall <= 0 {
		stall = 60 * time.Second
	}
	watch := time.AfterFunc(stall, cancel)
	defer watch.Stop()
	buf := make([]byte, 256<<10)
	for {
		k, err := body.Read(buf)
		watch.Reset(stall)
		if int64(k) > limit-n {
			return n, fmt.Errorf("%s: %s: the server sends more than the %s that the hub lists", t.repo.Name.Repo, t.file.Path, plural.Of(t.file.Size, "byte"))
		}
		if k > 0 {
			if _, err := w.Write(buf[:k]); err != nil {
				return n, fmt.Errorf("%s: %w", t.file.Path, err)
			}
			n += int64(k)
			t.progress.Add(int64(k))
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, temporary{err}
		}
	}
}

// rangeStart reads "bytes 100-199/200".
func rangeStart(h string) (int64, bool) {
	rest, ok := strings.CutPrefix(h, "bytes ")
	if !ok {
		return 0, false
	}
	from, _, ok := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(from, 10, 64)
	return n, ok && err == nil
}
