package checkpoint

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
)

// large are tensors of which two are hashed in pieces, the last one of a few
// bytes, and one that is empty.
func large(change map[string]int) []TensorSpec {
	var specs []TensorSpec
	for name, n := range map[string]int{"a": hashPiece + 5, "b": 0, "c": 2 * hashPiece, "d": 3} {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i >> 10)
		}
		if at, ok := change[name]; ok {
			data[at] ^= 1
		}
		specs = append(specs, TensorSpec{Name: name, DType: U8, Shape: []int{n}, Data: data})
	}
	return specs
}

func tensorHash(t *testing.T, config string, specs []TensorSpec, shards int) string {
	t.Helper()
	c, err := Open(folder(t, config, specs, shards))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h, err := c.TensorHash()
	if err != nil || len(h) != 64 {
		t.Fatalf("%q, %v", h, err)
	}
	if again, err := c.TensorHash(); err != nil || again != h {
		t.Errorf("%s, then %s, %v", h, again, err)
	}
	return h
}

// Every byte counts, names, types and shapes too; threads and shards don't.
func TestTensorHash(t *testing.T) {
	want := tensorHash(t, tinyConfig, large(nil), 0)
	for _, threads := range []int{1, 3} {
		old := runtime.GOMAXPROCS(threads)
		if h := tensorHash(t, tinyConfig, large(nil), 2); h != want {
			t.Errorf("%d threads, shards: %s, want %s", threads, h, want)
		}
		runtime.GOMAXPROCS(old)
	}
	seen := map[string]string{want: "unchanged"}
	add := func(what string, specs []TensorSpec) {
		t.Helper()
		h := tensorHash(t, tinyConfig, specs, 0)
		if seen[h] != "" {
			t.Errorf("%s is hashed as %s", what, seen[h])
		}
		seen[h] = what
	}
	for name, places := range map[string][]int{"a": {0, 5000, hashPiece - 1, hashPiece, hashPiece + 4}, "c": {hashPiece, 2*hashPiece - 1}, "d": {2}} {
		for _, at := range places {
			add(fmt.Sprintf("byte %d of %s changed", at, name), large(map[string]int{name: at}))
		}
	}
	for what, do := range map[string]func(s *TensorSpec){"name": func(s *TensorSpec) { s.Name = "e" }, "type": func(s *TensorSpec) { s.DType = I8 }, "shape": func(s *TensorSpec) { s.Shape = []int{1, 3} }} {
		specs := large(nil)
		for i := range specs {
			if specs[i].Name == "d" {
				do(&specs[i])
			}
		}
		add(what, specs)
	}
	c, err := Open(folder(t, tinyConfig, large(nil), 0))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if h, err := c.TensorHash(); err == nil {
		t.Errorf("after Close: %s", h)
	}
}

// Hashes come in the order asked for, whatever the sizes, and so do errors.
func TestHashFilesOrder(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i := range 20 {
		p := filepath.Join(dir, fmt.Sprintf("f%02d", i))
		put(t, p, make([]byte, i*7%20*1000))
		paths = append(paths, p)
	}
	got, err := HashFiles(paths...)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range got {
		one, err := HashFiles(paths[i])
		if err != nil || one[0] != h || h.Name != filepath.Base(paths[i]) || h.Bytes != int64(i*7%20*1000) {
			t.Errorf("%d: %+v, alone %+v, %v", i, h, one, err)
		}
	}
	_, err = HashFiles(append([]string{paths[0], filepath.Join(dir, "none1"), filepath.Join(dir, "none2")}, paths...)...)
	wantErr(t, err, nil, "none1")
}
