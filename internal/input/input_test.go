//go:build unix

package input

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	return path
}

// within fails the test if f takes longer than a moment.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan bool)
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("still waiting")
	}
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	pipe := fifo(t)
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{pipe: "a pipe", link: "a pipe", dir: "a folder", sock: "a socket", "/dev/zero": "a device", "/dev/null": "a device"} {
		within(t, func() {
			_, _, err := Open(path)
			var special *NotRegularError
			if !errors.As(err, &special) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, expected it to be called %s", path, err, want)
			}
			if _, err := ReadFile(path, 10); err == nil {
				t.Errorf("%s: was read", path)
			}
		})
	}
	if _, _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || !strings.HasSuffix(err.Error(), "none: there is no such file or folder") {
		t.Error(err)
	}
	if _, _, err := Open(""); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestReadFileLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for n, ok := range map[int]bool{0: true, 1: true, 99: true, 100: true, 101: false, 5000: false} {
		if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
		data, err := ReadFile(path, 100)
		var large *LargeError
		if ok && (err != nil || len(data) != n) || !ok && !errors.As(err, &large) {
			t.Errorf("%d bytes: %d, %v", n, len(data), err)
		}
	}
}

// A pipe is read while somebody writes, twice if need be, and given up when the
// context ends, before and after it has a writer.
func TestReadTextPipe(t *testing.T) {
	t.Cleanup(func() { pipes.read = nil }) // with -count a later pipe may get the same file number
	path := fifo(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	within(t, func() {
		if _, err := ReadText(ctx, path, 100); !errors.Is(err, context.Canceled) {
			t.Errorf("no writer: %v", err)
		}
	})
	path = fifo(t)
	go func() { os.WriteFile(path, []byte("a text"), 0) }()
	within(t, func() {
		for range 2 {
			if text, err := ReadText(t.Context(), path, 100); err != nil || string(text.Data) != "a text" || !text.Pipe {
				t.Errorf("%q, %v", text.Data, err)
			}
		}
	})
	path = fifo(t)
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer f.Close()
		f.WriteString("begun")
		time.Sleep(10 * time.Second)
	}()
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	within(t, func() {
		if _, err := ReadText(ctx, path, 100); !errors.Is(err, context.Canceled) {
			t.Errorf("a writer that does not end: %v", err)
		}
	})
	path = fifo(t)
	go func() { os.WriteFile(path, make([]byte, 1000), 0) }()
	within(t, func() {
		var large *LargeError
		if err := Preload(t.Context(), 100, path, "nothing"); !errors.As(err, &large) {
			t.Errorf("too long: %v", err)
		}
	})
}

// TestOnlyHere keeps it at one place: no other code of the program opens a file for
// reading, but what is named here and why.
func TestOnlyHere(t *testing.T) {
	allowed := map[string]string{
		"cmd/specquant/bench.go":         "/proc/self/status",
		"internal/pipeline/lock_unix.go": "a folder, to lock it",
		"internal/compare/lock_unix.go":  "a folder, to lock it",
		"internal/disk/sync_unix.go":     "a folder, to flush it",
		"internal/hub/lock_unix.go":      "a lock file of its own",
	}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			switch {
			case rel != "." && strings.HasPrefix(e.Name(), "."), e.Name() == "_gen", rel == "scripts", rel == "examples",
				rel == "internal/testdata", rel == "internal/testmodel", rel == "internal/input":
				return fs.SkipDir
			}
			return nil
		}
		if allowed[rel] != "" {
			delete(allowed, rel)
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, call := range []string{"os.Open(", "os.ReadFile("} {
			if strings.Contains(string(data), call) {
				t.Errorf("%s: calls %s…), expected input.Open, ReadFile or ReadText: they refuse what is no file on disk, and have a limit", rel, call)
			}
		}
		for _, call := range []string{"os.Stat(", "os.Lstat("} {
			if strings.Contains(string(data), call) {
				t.Errorf("%s: calls %s…), expected input.Stat or Lstat: their errors are words, not \"stat X: …\"", rel, call)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range allowed {
		t.Errorf("%s is allowed to open files and is not there any more", name)
	}
}
