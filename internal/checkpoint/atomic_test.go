package checkpoint

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAtomicReplacesWholeOrNot(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.json")
	put(t, p, []byte("old"))
	put(t, p+".tmp", []byte("left by a kill"))
	read := func() string {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	a, err := CreateAtomic(p, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(bytes.Repeat([]byte("x"), 3<<20)); err != nil {
		t.Fatal(err)
	}
	if read() != "old" {
		t.Error("the file changed before Commit")
	}
	a.Abort()
	if err := a.Commit(); err == nil {
		t.Error("committed after Abort")
	}
	if _, err := os.Stat(p + ".tmp"); !errors.Is(err, os.ErrNotExist) || read() != "old" {
		t.Errorf("after Abort: temporary %v, file %q", err, read())
	}
	if err := WriteFileAtomic(p, []byte("new")); err != nil || read() != "new" {
		t.Errorf("found %q (%v)", read(), err)
	}
	if err := WriteFileAtomic(filepath.Join(dir, "none", "x"), nil); err == nil {
		t.Error("wrote into a folder that is not there")
	}
}

// A left-behind link under the temporary's name is replaced, not followed.
func TestAtomicDoesNotFollowLinks(t *testing.T) {
	dir := t.TempDir()
	victim, p := filepath.Join(dir, "victim"), filepath.Join(dir, "x")
	put(t, victim, []byte("mine"))
	if err := os.Symlink(victim, p+".tmp"); err != nil {
		t.Skip(err)
	}
	if err := WriteFileAtomic(p, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(victim); string(b) != "mine" {
		t.Errorf("the link's target became %q", b)
	}
}

// The disk's failure is injected: the file behind the writer is swapped for
// one that cannot be written.
func TestAtomicDiskErrors(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "x.bin")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	a, err := CreateAtomic(p, 5<<20)
	if err != nil {
		t.Fatal(err)
	}
	a.w.Reset(full)
	_, err = a.Write(make([]byte, 5<<20))
	wantErr(t, err, syscall.ENOSPC, p, "disk full", "5242880 bytes wanted", "free space")
	if again := a.Commit(); again == nil || again.Error() != err.Error() {
		t.Errorf("Commit after a failure: %v", again)
	}
	if list, _ := os.ReadDir(dir); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
}

func TestHashFiles(t *testing.T) {
	a, b := writeTemp(t, "a", []byte("abc")), writeTemp(t, "b", nil)
	got, err := HashFiles(a, b)
	if err != nil {
		t.Fatal(err)
	}
	// FIPS 180-2, B.1, and the hash of nothing.
	want := []FileHash{
		{"a", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"b", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("found %v, expected %v", got, want)
	}
	if _, err := HashFiles(a, a+".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// A file never takes the place of what is no file, and a link keeps its place.
func TestAtomicTarget(t *testing.T) {
	dir := t.TempDir()
	name := func(s string) string { return filepath.Join(dir, s) }
	if err := syscall.Mkfifo(name("pipe"), 0o600); err != nil {
		t.Skip(err)
	}
	put(t, name("file"), []byte("old"))
	for link, to := range map[string]string{"link": "file", "dangling": "none", "loop": "loop", "to-pipe": "pipe"} {
		if err := os.Symlink(to, name(link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		name("pipe"): "is a pipe", name("to-pipe"): "is a pipe", dir: "is a folder", os.DevNull: "is a device",
		name("dangling"): "a link that leads to no file", name("loop"): "a link that leads to no file", "": "name of the file to write is empty",
	} {
		if err := CheckTarget(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
		if path == os.DevNull {
			continue // not to be tried
		}
		if err := WriteFileAtomic(path, []byte("new")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if st, err := os.Lstat(name("pipe")); err != nil || st.Mode().IsRegular() {
		t.Error("the pipe was replaced")
	}
	if err := WriteFileAtomic(name("link"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(name("file"))
	if st, err := os.Lstat(name("link")); err != nil || st.Mode().IsRegular() || string(data) != "new" {
		t.Errorf("behind the link is %q", data)
	}
}
