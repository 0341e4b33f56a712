// Package disk makes the changes of the disk that a job's survival depends on, so that tests
// can let each of them fail, or forget what was never flushed.
package disk

import (
	"errors"
	"os"
)

// Op names a change.
type Op string

const (
	Create  Op = "create"
	Write   Op = "write"
	Sync    Op = "flush"        // a file's contents
	SyncDir Op = "flush folder" // a folder's entries
	Rename  Op = "rename"
	Remove  Op = "remove"
	Mkdir   Op = "make folder"
)

// Before, if it is not nil, is called before every change of path (of a rename, also its new
// name); the change is not made if it returns an error. Only tests set it, and none that runs
// beside others. [ErrSkip] leaves a flush out and lets the program believe that it was made.
var Before func(op Op, path, to string) error

func before(op Op, path, to string) error {
	if Before == nil {
		return nil
	}
	if err := Before(op, path, to); err != nil {
		return &os.PathError{Op: string(op), Path: path, Err: err}
	}
	return nil
}

// ErrSkip is what Before returns to save the time of a flush.
var ErrSkip = errors.New("not flushed")

// File is a file that is written.
type File struct{ f *os.File }

// OpenFile is [os.OpenFile] for a file that is created.
func OpenFile(path string, flag int, mode os.FileMode) (*File, error) {
	if err := before(Create, path, ""); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	return &File{f}, nil
}

// Name is the path that the file was opened by.
func (f *File) Name() string { return f.f.Name() }

// Close is [os.File.Close].
func (f *File) Close() error { return f.f.Close() }

// Write implements [io.Writer].
func (f *File) Write(p []byte) (int, error) {
	if err := before(Write, f.Name(), ""); err != nil {
		return 0, err
	}
	return f.f.Write(p)
}

// WriteAt implements [io.WriterAt].
func (f *File) WriteAt(p []byte, at int64) (int, error) {
	if err := before(Write, f.Name(), ""); err != nil {
		return 0, err
	}
	return f.f.WriteAt(p, at)
}

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(p []byte, at int64) (int, error) { return f.f.ReadAt(p, at) }

// Truncate is [os.File.Truncate]: a write.
func (f *File) Truncate(size int64) error {
	if err := before(Write, f.Name(), ""); err != nil {
		return err
	}
	return f.f.Truncate(size)
}

// Sync flushes the file's contents.
func (f *File) Sync() error {
	if err := before(Sync, f.Name(), ""); errors.Is(err, ErrSkip) {
		return nil
	} else if err != nil {
		return err
	}
	return f.f.Sync()
}

// RenameTo is [os.Rename].
func RenameTo(from, to string) error {
	if err := before(Rename, from, to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// RemoveFile is [os.Remove].
func RemoveFile(path string) error {
	if err := before(Remove, path, ""); err != nil {
		return err
	}
	return os.Remove(path)
}

// MakeDir makes a folder, or finds it there, and flushes the entry of the folder that it lies
// in: what is written to it survives a power failure only if it does.
func MakeDir(path, parent string) error {
	if err := before(Mkdir, path, ""); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	return FlushDir(parent)
}

// FlushDir flushes a folder's entries, so that a rename in it survives a power failure.
func FlushDir(dir string) error {
	if err := before(SyncDir, dir, ""); errors.Is(err, ErrSkip) {
		return nil
	} else if err != nil {
		return err
	}
	return syncDir(dir)
}
