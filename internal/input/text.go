package input

import (
	"context"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// PipeName is listed instead of the name of a pipe: the name that the shell passes
// ("/dev/fd/63") has no meaning and may differ next time.
const PipeName = "(pipe)"

// Text is the result of [ReadText].
type Text struct {
	Data []byte
	Pipe bool // read from a pipe
}

// pipes holds the pipes that were read and their contents: a pipe can be read only once,
// but a command needs its text for the plan and for the work.
var pipes struct {
	sync.Mutex
	read []readPipe
}

type readPipe struct {
	info fs.FileInfo
	data []byte
}

// ReadText reads a text of at most limit bytes: a regular file, or a pipe until its writers
// have closed it. It stops when ctx ends. A pipe that was read before returns the same text
// again.
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

// Preload reads the pipes among paths, so that later calls of [ReadText] return their text
// immediately. Any other problem with a path is reported by those calls.
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

// ReadAll reads from what open returns to its end, at most limit bytes, or until ctx ends.
// Opening may block, as for a pipe; an opening or reading that cannot be interrupted is
// then abandoned in its own goroutine. name is for errors.
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
			// Interrupts a blocked read if the system allows it; if not, see above.
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
