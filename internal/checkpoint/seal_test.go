package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A text with a sum stays JSON with the same members; a flip of any bit is found.
func TestSeal(t *testing.T) {
	for _, text := range []string{"{}", `{"a":1}`, "{\n  \"a\": {\n    \"crc32c\":\"00000000\"\n  }\n}\n", `{"a":"\"crc32c\":\"12345678\"}"}`, "{}\n"} {
		sealed, err := Seal([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckSeal(sealed); err != nil {
			t.Fatalf("%s: %v", sealed, err)
		}
		var want, got, back map[string]any
		open, err := Unseal(sealed)
		if err != nil || json.Unmarshal([]byte(text), &want) != nil || json.Unmarshal(sealed, &got) != nil || json.Unmarshal(open, &back) != nil {
			t.Fatalf("%s: %v", sealed, err)
		}
		if len(got) != len(want)+1 || len(back) != len(want) {
			t.Errorf("%s became %s, and back %s", text, sealed, open)
		}
		for i := range 8 * len(sealed) {
			bad := bytes.Clone(sealed)
			bad[i/8] ^= 1 << (i % 8)
			if err := CheckSeal(bad); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoSeal) {
				t.Fatalf("bit %d of %s: %v", i, sealed, err)
			}
			if _, err := Unseal(bad); err == nil {
				t.Fatalf("bit %d of %s: read", i, sealed)
			}
		}
	}
	for _, text := range []string{"", "[]", "1", "{", "}"} {
		if _, err := Seal([]byte(text)); err == nil {
			t.Errorf("%q was given a sum", text)
		}
		if err := CheckSeal([]byte(text)); !errors.Is(err, ErrNoSeal) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A flip of any bit of a file that carries sums is found: of its length, its header, its
// padding, its tensors.
func TestSealedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.safetensors")
	specs := []TensorSpec{
		{Name: "b", DType: U8, Shape: []int{64}, Data: bytes.Repeat([]byte{7}, 64)},
		{Name: "a", DType: F32, Shape: []int{3}, Write: func(w io.Writer) error {
			_, err := w.Write([]byte("0123456789ab"))
			return err
		}},
		{Name: "none", DType: F32, Shape: []int{0}, Data: nil},
		{Name: "other", DType: F32, Shape: []int{0, 4}, Data: nil},
		{Name: "odd", DType: U8, Shape: []int{5}, Data: []byte("odd..")},
	}
	if err := WriteSealed(path, specs, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	if err := CheckFile(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		put(t, path, bad)
		if err := CheckFile(path); err == nil {
			t.Fatalf("bit %d of byte %d of %d was flipped unnoticed", i%8, i/8, len(good))
		}
	}
	plain := filepath.Join(t.TempDir(), "plain.safetensors")
	if err := WriteFile(plain, specs, nil); err != nil {
		t.Fatal(err)
	}
	if err := CheckFile(plain); !errors.Is(err, ErrNoSeal) {
		t.Errorf("a file without sums: %v", err)
	}
}
