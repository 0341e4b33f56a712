package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/specquant/specquant/internal/disk"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// AtomicFile writes a file that appears under its name either complete or not at all: the
// bytes go to path+".tmp", which Commit flushes to disk and renames. After a crash there is
// the old file, or none, and perhaps the temporary file, which the next CreateAtomic
// replaces.
type AtomicFile struct {
	path    string
	want    int64
	written int64
	f       *disk.File
	w       *bufio.Writer
	err     error // the first failure to write, sticky
}

// CreateAtomic begins writing path. want is the expected number of bytes, for the error on
// a full disk; 0 if unknown. The caller should defer Abort.
func CreateAtomic(path string, want int64) (*AtomicFile, error) {
	path, err := target(path)
	if err != nil {
		return nil, err
	}
	tmp := path + ".tmp"
	// Removed and created anew, so that a link left at this name is not written through.
	if err := disk.RemoveFile(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	f, err := disk.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return &AtomicFile{path: path, want: want, f: f, w: bufio.NewWriterSize(f, 1<<20)}, nil
}

// CheckTarget says whether CreateAtomic would refuse the name: it is empty, or that of
// something that is no regular file. A rename would put a file in the place of a device, a
// pipe or a socket.
func CheckTarget(path string) error {
	_, err := target(path)
	return err
}

// target is the file that is written: path, or what it links to.
func target(path string) (string, error) {
	if path == "" {
		return "", errors.New("the name of the file to write is empty")
	}
	link, err := input.Lstat(path)
	if err != nil { // new, or what is wrong is told when it is created
		return path, nil
	}
	if link.Mode()&fs.ModeSymlink != 0 {
		to, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", fmt.Errorf("write %s: is a link that leads to no file; remove it or choose another name", path)
		}
		path = to
		if link, err = input.Lstat(path); err != nil {
			return "", fmt.Errorf("write %s: %w", path, err)
		}
	}
	if !link.Mode().IsRegular() {
		return "", fmt.Errorf("write %s: is %s, expected the name of a new file or of one to replace", path, input.Kind(link.Mode()))
	}
	return path, nil
}

// Write implements io.Writer. After a failure every further call returns the same error.
func (a *AtomicFile) Write(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	if a.f == nil {
		return 0, fmt.Errorf("write %s: already committed or aborted", a.path)
	}
	n, err := a.w.Write(p)
	a.written += int64(n)
	return n, a.fail(err)
}

// replace overwrites the first bytes of the file with p; that many must have been written.
func (a *AtomicFile) replace(p []byte) error {
	if a.err != nil {
		return a.err
	}
	if err := a.fail(a.w.Flush()); err != nil {
		return err
	}
	_, err := a.f.WriteAt(p, 0)
	return a.fail(err)
}

// Commit makes the file appear under its name, durably: data, rename and folder entry are
// flushed in this order. On failure the temporary file is removed.
func (a *AtomicFile) Commit() error {
	if a.f == nil {
		return fmt.Errorf("write %s: already committed or aborted", a.path)
	}
	defer a.Abort()
	if a.err != nil {
		return a.err
	}
	if err := a.fail(a.w.Flush()); err != nil {
		return err
	}
	if err := a.fail(a.f.Sync()); err != nil {
		return err
	}
	f := a.f
	a.f = nil
	err := a.fail(f.Close())
	if err == nil {
		err = a.fail(disk.RenameTo(f.Name(), a.path))
	}
	if err != nil {
		disk.RemoveFile(f.Name())
		return err
	}
	return disk.FlushDir(filepath.Dir(a.path))
}

// Abort removes the temporary file. After Commit it does nothing, so that it can be
// deferred.
func (a *AtomicFile) Abort() {
	if a.f != nil {
		a.f.Close()
		disk.RemoveFile(a.f.Name())
		a.f = nil
	}
}

// fail keeps the first error and adds the path, the number of bytes and, if the disk is
// full, what to do.
func (a *AtomicFile) fail(err error) error {
	if err == nil || a.err != nil {
		return a.err
	}
	if isDiskFull(err) {
		size := fmt.Sprintf("%s so far", plural.Of(a.written, "byte"))
		if a.want > 0 {
			size = fmt.Sprintf("%s wanted, failed after %d", plural.Of(a.want, "byte"), a.written)
		}
		a.err = fmt.Errorf("write %s: disk full (%s); free space there or choose another folder: %w", a.path, size, err)
	} else {
		a.err = fmt.Errorf("write %s: %w", a.path, err)
	}
	return a.err
}

// WriteFileAtomic writes data to path with an AtomicFile.
func WriteFileAtomic(path string, data []byte) error {
	a, err := CreateAtomic(path, int64(len(data)))
	if err != nil {
		return err
	}
	defer a.Abort()
	if _, err := a.Write(data); err != nil {
		return err
	}
	return a.Commit()
}
