package eval

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/testmodel"
)

// hashOf is the hash of the model in dir.
func hashOf(t *testing.T, dir string) string {
	t.Helper()
	ck, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	h, err := ModelHash(ck)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// change rewrites a file.
func change(t *testing.T, path string, do func(data []byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, do(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// flip changes one bit in the middle of a file: far from the start of a tensor.
func flip(data []byte) []byte {
	data[len(data)/2] ^= 1
	return data
}

func write(t *testing.T, o testmodel.Options) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := testmodel.Write(dir, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A model is another one if a bit of any tensor differs, or what else its
// results depend on; it is the same in other shards and beside other files.
func TestModelHash(t *testing.T) {
	// One tensor of 16 KiB is in the middle of the file.
	o := testmodel.Options{Hidden: 64, Intermediate: 64, Layers: 1}
	want := hashOf(t, write(t, o))
	sharded := o
	sharded.Shards = 3
	if got := hashOf(t, write(t, sharded)); got != want {
		t.Errorf("in shards: %s, want %s", got, want)
	}
	for _, tt := range []struct {
		what string
		same bool
		do   func(dir string)
	}{
		{"a bit in the middle of a tensor", false, func(dir string) { change(t, filepath.Join(dir, "model.safetensors"), flip) }},
		{"config.json", false, func(dir string) {
			change(t, filepath.Join(dir, "config.json"), func(d []byte) []byte { return []byte(strings.Replace(string(d), "10000", "20000", 1)) })
		}},
		{"generation_config.json", false, func(dir string) {
			os.WriteFile(filepath.Join(dir, generationFile), []byte(`{"eos_token_id": 3}`), 0o644)
		}},
		{"a licence", true, func(dir string) { os.WriteFile(filepath.Join(dir, "LICENSE"), []byte("all is allowed"), 0o644) }},
	} {
		dir := write(t, o)
		tt.do(dir)
		if got := hashOf(t, dir); (got == want) != tt.same {
			t.Errorf("%s: %s, before %s", tt.what, got, want)
		}
	}
}

// artefactOf makes a folder that opens as an artefact: the fingerprint looks at
// nothing but the files.
func artefactOf(t *testing.T, sums bool) string {
	t.Helper()
	dir := write(t, testmodel.Options{Shards: 2, Config: map[string]any{"quantization_config": map[string]any{"quant_method": "specquant", "activation_clip": 0.9}}})
	m := artefact.Manifest{Tool: "test"}
	if sums {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if m.Files, err = artefact.Sums(dir, names); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, artefact.ManifestFile), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// An artefact's sums are believed only when they are true, and one without has
// the hash of its twin that has them.
func TestArtefactHash(t *testing.T) {
	want := hashOf(t, artefactOf(t, true))
	if got := hashOf(t, artefactOf(t, false)); got != want {
		t.Errorf("without sums %s, with them %s", got, want)
	}
	const shard = "model-00002-of-00002.safetensors"
	clip := func(d []byte) []byte { return []byte(strings.Replace(string(d), "0.9", "0.8", 1)) }
	for file, do := range map[string]func([]byte) []byte{shard: flip, "config.json": clip} {
		old, bad := artefactOf(t, false), artefactOf(t, true)
		change(t, filepath.Join(old, file), do)
		if got := hashOf(t, old); got == want {
			t.Errorf("%s changed: the hash is as before", file)
		}
		change(t, filepath.Join(bad, file), do)
		ck, err := checkpoint.Open(bad)
		if err != nil { // all but weights without sums of their own is read there
			if file == shard || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "sha256") {
				t.Errorf("%s is not what the manifest says: %v", file, err)
			}
			continue
		}
		defer ck.Close()
		if h, err := ModelHash(ck); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "sha256") {
			t.Errorf("%s is not what the manifest says: %q, %v", file, h, err)
		}
	}
}
