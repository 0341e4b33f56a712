package input

import (
	"context"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// PipeName stands for a pipe where the sources of a text are listed: the name by
// which the shell hands one over ("/dev/fd/63") says nothing and is another one
// next time.
const PipeName = "(pipe)"

// Text is what was read by [ReadText].
type Text struct {
	Data []byte
	Pipe bool // it came through a pipe
}

// pipes are the pipes that were read, and what they gave: a pipe can be read only
// once, but a command needs its text for the plan and for the work.
var pipes struct {
	sync.Mutex
	read []readPipe
}

type readPipe struct {
	info fs.FileInfo
	data []byte
}

// ReadText reads a text of at most limit bytes: a regular file, or a pipe until its
// writers have closed it. It waits for no longer than ctx. A pipe that was read
// before gives the same text again.
func ReadText(ctx context.Context, path string, limit int64) (Text, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Text{}, missing(path, err)
	}
	if info.Mode()&fs.ModeNamedPipe == 0 {
		data, err := ReadFile(path, limit)
		return Text{Data: data}, err
	}
	pipes.Lock()
	defer pipes.Unlock()
	for _, p := range pipes.read {
		if os.SameFile(p.info, info) {
			return Text{p.data, true}, nil
		}
	}
	data, err := ReadAll(ctx, func() (io.Reader, error) { return os.Open(path) }, path, limit)
	if err != nil {
		return Text{}, err
	}
	pipes.read = append(pipes.read, readPipe{info, data})
	return Text{data, true}, nil
}

// Preload reads the pipes among paths, so that later calls of [ReadText] give their
// text at once. Whatever else is wrong with a path is told by those calls.
func Preload(ctx context.Context, limit int64, paths ...string) error {
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
			if _, err := ReadText(ctx, p, limit); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadAll reads what open gives until its end, at most limit bytes, or until ctx
// ends. Opening may wait, as that of a pipe does; it and a read that can't be
// interrupted are then left behind, waiting in a goroutine of their own. name is for
// errors.
func ReadAll(ctx context.Context, open func() (io.Reader, error), name string, limit int64) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		r, err := open()
		if err != nil {
			done <- result{err: missing(name, err)}
			return
		}
		if d, ok := r.(interface{ SetReadDeadline(time.Time) error }); ok {
			// Ends a read that waits, where the system lets it; if not, see above.
			defer context.AfterFunc(ctx, func() { _ = d.SetReadDeadline(time.Unix(1, 0)) })()
		}
		data, err := readAll(r, name, 0, limit)
		if c, ok := r.(io.Closer); ok && r != os.Stdin {
			c.Close()
		}
		done <- result{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return r.data, r.err
	}
}
