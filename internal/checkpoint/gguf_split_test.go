package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// splitPart is one file of a split model with one tensor [4], whose values are the part's
// number, or with none: llama.cpp's tool puts only metadata in the first file if asked to.
func splitPart(no, count, tensors uint32, name string) []byte {
	n := uint64(1)
	if name == "" {
		n = 0
	}
	b := newGGUF(3, n, 3)
	b.str("split.no").u32(ggufU32).u32(no)
	b.str("split.count").u32(ggufU32).u32(count)
	b.str("split.tensors.count").u32(ggufU32).u32(tensors)
	if name == "" {
		return b.data(0)
	}
	data := b.tensor(name, 0, 0, 4).data(32)
	for i := range 4 {
		binary.LittleEndian.PutUint32(data[len(data)-32+4*i:], math.Float32bits(float32(no)))
	}
	return data
}

// writeParts writes the parts as m-00001-of-0000N.gguf and so on, and returns the first's path.
func writeParts(t *testing.T, parts ...[]byte) string {
	t.Helper()
	dir := t.TempDir()
	for i, p := range parts {
		put(t, filepath.Join(dir, fmt.Sprintf("m-%05d-of-%05d.gguf", i+1, len(parts))), p)
	}
	return filepath.Join(dir, fmt.Sprintf("m-00001-of-%05d.gguf", len(parts)))
}

// TestGGUFSplit: the parts of a split model are one model.
func TestGGUFSplit(t *testing.T) {
	for _, first := range []string{"a", ""} {
		tensors := uint32(3)
		if first == "" {
			tensors = 2
		}
		g, err := OpenGGUF(writeParts(t, splitPart(0, 3, tensors, first), splitPart(1, 3, tensors, "b"), splitPart(2, 3, tensors, "c")))
		if err != nil {
			t.Fatal(err)
		}
		if names := strings.Join(g.Names(), ""); names != first+"bc" {
			t.Errorf("tensors %q", names)
		}
		for i, name := range []string{first, "b", "c"} {
			if name == "" {
				continue
			}
			tensor, ok := g.Tensor(name)
			got := make([]float32, 4)
			if err := tensor.Float32(got); !ok || err != nil || !slices.Equal(got, []float32{float32(i), float32(i), float32(i), float32(i)}) {
				t.Errorf("tensor %s: %v, %v", name, got, err)
			}
		}
		g.Close()
	}
}

// TestGGUFSplitRefuses: parts that do not belong together are named.
func TestGGUFSplitRefuses(t *testing.T) {
	good := func() [][]byte {
		return [][]byte{splitPart(0, 3, 3, "a"), splitPart(1, 3, 3, "b"), splitPart(2, 3, 3, "c")}
	}
	for name, c := range map[string]struct {
		change func(parts [][]byte)
		kind   error
		says   []string
	}{
		"another number":      {func(p [][]byte) { p[1] = splitPart(2, 3, 3, "b") }, ErrMalformed, []string{"m-00002-of-00003", "part 3 of 3, expected part 2 of 3"}},
		"another count":       {func(p [][]byte) { p[2] = splitPart(2, 4, 3, "c") }, ErrMalformed, []string{"m-00003-of-00003", "part 3 of 4", "do not belong together"}},
		"no part at all":      {func(p [][]byte) { p[1] = newGGUF(3, 0, 0).data(0) }, ErrMalformed, []string{"m-00002-of-00003", "expected part 2 of 3"}},
		"a tensor twice":      {func(p [][]byte) { p[2] = splitPart(2, 3, 3, "a") }, ErrMalformed, []string{"m-00003-of-00003", `tensor "a" is also in`, "m-00001-of-00003"}},
		"a tensor missing":    {func(p [][]byte) { p[2] = splitPart(2, 3, 3, "") }, ErrMalformed, []string{"the 3 parts have 2 tensors", "says 3"}},
		"a part cut off":      {func(p [][]byte) { p[1] = p[1][:len(p[1])-40] }, ErrMalformed, []string{"m-00002-of-00003"}},
		"more parts than all": {func(p [][]byte) { p[0] = splitPart(0, 100000, 3, "a") }, ErrMalformed, []string{"split.count", "100000, expected at most 1000"}},
		"fewer parts":         {func(p [][]byte) { p[0] = splitPart(0, 2, 2, "a") }, ErrUnsupported, []string{"expected a name that ends in -00001-of-00002.gguf"}},
	} {
		parts := good()
		c.change(parts)
		_, err := OpenGGUF(writeParts(t, parts...))
		if err == nil {
			t.Errorf("%s: was opened", name)
			continue
		}
		wantErr(t, err, c.kind, c.says...)
	}
	path := writeParts(t, good()...)
	second := strings.Replace(path, "m-00001", "m-00002", 1)
	_, err := OpenGGUF(second)
	wantErr(t, err, ErrUnsupported, "is part 2 of 3 of a model; open the first part", "-00001-of-00003.gguf")
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	if _, err = OpenGGUF(path); err == nil || !strings.Contains(err.Error(), "part 2 of 3 is missing: "+second+"; download it too") || errors.Is(err, ErrMalformed) {
		t.Errorf("a missing part: %v", err)
	}
	renamed := filepath.Join(filepath.Dir(path), "model.gguf")
	if err := os.Rename(path, renamed); err != nil {
		t.Fatal(err)
	}
	_, err = OpenGGUF(renamed)
	wantErr(t, err, ErrUnsupported, "is the first of 3 parts", "rename it")
}
