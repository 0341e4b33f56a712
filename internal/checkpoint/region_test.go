package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Where a file cannot be mapped, everything works by reading.
func TestReadAtFallback(t *testing.T) {
	p := filepath.Join(t.TempDir(), "x.safetensors")
	want := []byte{1, 2, 3, 4, 5}
	if err := WriteFile(p, []TensorSpec{{Name: "a", DType: U8, Shape: []int{5}, Data: want}}, nil); err != nil {
		t.Fatal(err)
	}
	r, err := openRegionWith(p, func(*os.File, int64) ([]byte, error) { return nil, errors.ErrUnsupported })
	if err != nil {
		t.Fatal(err)
	}
	if r.mapped != nil {
		t.Fatal("mapped after all")
	}
	f, err := newFile(r)
	if err != nil {
		t.Fatal(err)
	}
	a, ok := f.Tensor("a")
	if !ok || a.Err() != nil || !bytes.Equal(a.Data, want) {
		t.Errorf("found %+v", a)
	}
	a.Release()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if a, _ := f.Tensor("a"); a.Err() == nil || a.Float32(nil) == nil {
		t.Error("reading after Close gave no error")
	}
}

func TestCloseTwice(t *testing.T) {
	f, err := OpenFile(writeTemp(t, "x.safetensors", rawSafetensors("{}", 0)))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
}

func TestRegionBounds(t *testing.T) {
	r, err := openRegion(writeTemp(t, "x", make([]byte, 10)))
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for _, c := range [][2]int64{{-1, 1}, {0, 11}, {10, 1}, {11, 0}, {5, -1}, {1, 1<<63 - 1}} {
		if _, err := r.bytes(c[0], c[1]); !errors.Is(err, ErrMalformed) {
			t.Errorf("bytes(%d, %d): %v", c[0], c[1], err)
		}
		r.release(c[0], c[1])
	}
}

// Release takes the pages of a tensor out of resident memory, and its bytes
// are still right when they are read again.
func TestReleaseBoundsResidentMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	const size = 32 << 20
	p := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteFile(p, []TensorSpec{{Name: "a", DType: U8, Shape: []int{size}, Data: bytes.Repeat([]byte{1}, size)}}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, _ := f.Tensor("a")
	sum := func() (s int) {
		for _, b := range a.Data {
			s += int(b)
		}
		return s
	}
	before := rssFile(t)
	first := sum()
	touched := rssFile(t)
	a.Release()
	after := rssFile(t)
	if touched-before < size*9/10 || after-before > size/10 {
		t.Errorf("resident file pages %d, after reading %d bytes %d, after Release %d", before, size, touched, after)
	}
	if again := sum(); first != size || again != size {
		t.Errorf("sums %d and %d, expected %d", first, again, size)
	}
}

func rssFile(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(b)) {
		var kb int
		if n, _ := fmt.Sscanf(line, "RssFile: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	t.Skip("no RssFile here")
	return 0
}
