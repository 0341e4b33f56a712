// Package input opens and reads every file that is named in a command, so that no command
// waits forever for something that is no file on disk (a named pipe without a writer, a
// device), nothing is read into memory without a limit, and errors are reported uniformly.
//
// [Open] and [ReadFile] accept only regular files. [ReadText] also accepts pipes, for text
// that another program writes, and stops when its context ends.
package input

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// MaxSmall is the largest size in bytes of a file with settings or a list: the manifest of
// a model with a hundred blocks has less than a megabyte.
const MaxSmall = 64 << 20

// NotRegularError means that a path is not a regular file.
type NotRegularError struct {
	Path string
	Mode fs.FileMode
}

func (e *NotRegularError) Error() string {
	remedy := "; copy what it gives into a file and name that"
	if e.Mode.IsDir() {
		remedy = ""
	}
	return fmt.Sprintf("%s: is %s, expected a regular file%s", e.Path, Kind(e.Mode), remedy)
}

// LargeError means that a file is larger than the limit for its kind.
type LargeError struct {
	Path  string
	Limit int64 // bytes
}

func (e *LargeError) Error() string {
	return fmt.Sprintf("%s: has too many bytes, expected at most %d in a file of this kind", e.Path, e.Limit)
}

// Kind is the common name for a file of this mode that is no regular file.
func Kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a pipe (FIFO)"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "a special file"
}

// Open opens a regular file for reading, following links. It never waits: a pipe is opened
// without waiting for its writer, and refused. The kind is checked on the open file, so
// that replacing the file in between does not circumvent the check.
func Open(path string) (*os.File, fs.FileInfo, error) {
	f, err := openNow(path)
	if err != nil {
		// A socket can't be opened at all; the system's error does not say why.
		if st, failed := os.Stat(path); failed == nil && !st.Mode().IsRegular() && !st.IsDir() {
			return nil, nil, &NotRegularError{path, st.Mode()}
		}
		return nil, nil, missing(path, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &NotRegularError{path, st.Mode()}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, st, nil
}

// ReadFile reads a whole regular file of at most limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, st, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st.Size() > limit {
		return nil, &LargeError{path, limit}
	}
	return readAll(f, path, st.Size(), limit)
}

// readAll reads a file of size bytes, as far as known, and at most limit.
func readAll(r io.Reader, path string, size, limit int64) ([]byte, error) {
	// One byte more than the size, so that the end is detected without growing.
	data := make([]byte, 0, max(min(size, limit), 511)+1)
	for {
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if int64(len(data)) > limit {
			return nil, &LargeError{path, limit}
		}
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: reading it failed: %w", path, err)
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// missingError describes why a file could not be opened; it wraps the system's error.
type missingError struct {
	text string
	err  error
}

func (e *missingError) Error() string { return e.text }
func (e *missingError) Unwrap() error { return e.err }

// Stat is [os.Stat] with the system's refusal in words: for the names that people give,
// of files and folders alike.
func Stat(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, missing(path, err)
	}
	return info, nil
}

// Lstat is [os.Lstat], likewise: what it tells of a link is the link's own.
func Lstat(path string) (fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, missing(path, err)
	}
	return info, nil
}

// missing describes the system's error for a file that could not be opened.
func missing(path string, err error) error {
	switch {
	case path == "":
		return &missingError{"the name of a file is empty", err}
	case errors.Is(err, fs.ErrNotExist):
		if to, failed := os.Readlink(path); failed == nil { // not an absent file, which may be optional
			return fmt.Errorf("%s: is a link to %s, where there is nothing; fetch or copy the file again", path, to)
		}
		return &missingError{path + ": there is no such file or folder", err}
	case errors.Is(err, fs.ErrPermission):
		return &missingError{path + ": may not be read; change its permissions", err}
	}
	return fmt.Errorf("%s: can't be opened: %w", path, errors.Unwrap(err))
}
