package checkpoint

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listed is a folder of a quantized model in two shards with a manifest that
// lists all its files, as change leaves it.
func listed(t *testing.T, change func(files []FileHash) []FileHash) string {
	t.Helper()
	config := string(edited(t, map[string]string{"quantization_config": `{"quant_method":"specquant"}`}))
	dir := folder(t, config, tinySpecs(t), 5)
	put(t, filepath.Join(dir, "LICENSE"), []byte("all is allowed"))
	put(t, filepath.Join(dir, "empty.json"), nil)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	files, err := HashFiles(paths...)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		files = change(files)
	}
	data, err := json.Marshal(map[string]any{"tool": "x", "layers": []int{1}, "files": files})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, ManifestFile), data)
	return dir
}

const secondShard = "model-00002-of-00002.safetensors"

// flip changes one byte of a file, n from its end.
func flip(t *testing.T, path string, n int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-n] ^= 0x40
	put(t, path, data)
}

func TestVerify(t *testing.T) {
	dir := listed(t, nil)
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if len(c.Sums()) != 6 {
		t.Errorf("sums of %d files, want 6", len(c.Sums()))
	}
	if err := c.Verify(); err != nil {
		t.Fatal(err)
	}
	// What lies beside the files, and the manifest's other fields, are free.
	put(t, filepath.Join(dir, "notes.txt"), []byte("mine"))
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Verify(); err != nil {
		t.Fatal(err)
	}
}

// Damage of a byte of weights without sums of their own is found by Verify, all other where
// the folder is opened.
func TestVerifyFinds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(dir string)
		opens  bool
		kind   error
		parts  []string
	}{
		{"weight", func(dir string) { flip(t, filepath.Join(dir, secondShard), 3) }, true, ErrMalformed, []string{secondShard, "has sha256", "expected", ManifestFile, "copy it again, or quantize again"}},
		{"licence", func(dir string) { flip(t, filepath.Join(dir, "LICENSE"), 1) }, false, ErrMalformed, []string{"LICENSE", "has sha256"}},
		{"two files", func(dir string) {
			put(t, filepath.Join(dir, "LICENSE"), []byte("nothing is allowed"))
			put(t, filepath.Join(dir, "empty.json"), []byte("{}"))
		}, false, ErrMalformed, []string{"LICENSE", "and 1 more file at"}},
		{"longer", func(dir string) { put(t, filepath.Join(dir, "LICENSE"), []byte("nothing is allowed")) }, false, ErrMalformed, []string{"LICENSE", "has 18 bytes, expected 14"}},
		{"not empty", func(dir string) { put(t, filepath.Join(dir, "empty.json"), []byte("{}")) }, false, ErrMalformed, []string{"empty.json", "has 2 bytes, expected 0"}},
		{"missing", func(dir string) { os.Remove(filepath.Join(dir, "LICENSE")) }, false, ErrNotFound, []string{"LICENSE", "is missing", "14 bytes"}},
		{"no file", func(dir string) {
			os.Remove(filepath.Join(dir, "LICENSE"))
			os.Mkdir(filepath.Join(dir, "LICENSE"), 0o755)
		}, false, ErrMalformed, []string{"LICENSE", "is a folder, expected a regular file"}},
		{"manifest cut", func(dir string) { os.Truncate(filepath.Join(dir, ManifestFile), 40) }, false, ErrMalformed, []string{ManifestFile, "quantize again"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := listed(t, nil)
			tt.damage(dir)
			c, err := Open(dir)
			if err == nil {
				defer c.Close()
				if !tt.opens {
					t.Error("the folder opens")
				}
				err = c.Verify()
				if again := c.Verify(); again == nil {
					t.Error("found good the second time")
				}
			} else if tt.opens {
				t.Error("the folder does not open")
			}
			wantErr(t, err, tt.kind, append(tt.parts, filepath.Base(dir))...)
		})
	}
	// A file that goes between Open and Verify.
	dir := listed(t, nil)
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	os.Remove(filepath.Join(dir, "LICENSE"))
	wantErr(t, c.Verify(), ErrNotFound, "LICENSE", "missing")
}

func TestSumsRefused(t *testing.T) {
	entry := func(do func(h *FileHash)) func([]FileHash) []FileHash {
		return func(all []FileHash) []FileHash { do(&all[1]); return all }
	}
	for name, tt := range map[string]struct {
		change func([]FileHash) []FileHash
		part   string
	}{
		"outside":     {entry(func(h *FileHash) { h.Name = "../config.json" }), `"../config.json"`},
		"folder":      {entry(func(h *FileHash) { h.Name = "a/b" }), "plain file name"},
		"dots":        {entry(func(h *FileHash) { h.Name = ".." }), "plain file name"},
		"no name":     {entry(func(h *FileHash) { h.Name = "" }), "plain file name"},
		"itself":      {entry(func(h *FileHash) { h.Name = ManifestFile }), "plain file name"},
		"size":        {entry(func(h *FileHash) { h.Bytes = -1 }), "has -1 bytes"},
		"short sum":   {entry(func(h *FileHash) { h.SHA256 = h.SHA256[2:] }), "64 lower-case"},
		"capitals":    {entry(func(h *FileHash) { h.SHA256 = strings.Repeat("A", 64) }), "64 lower-case"},
		"not hex":     {entry(func(h *FileHash) { h.SHA256 = strings.Repeat("g", 64) }), "64 lower-case"},
		"twice":       {func(all []FileHash) []FileHash { return append(all, all[0]) }, "listed twice"},
		"no config":   {func(all []FileHash) []FileHash { return without(all, configFile) }, configFile + ": " + ManifestFile + " does not list it"},
		"not a shard": {func(all []FileHash) []FileHash { return without(all, secondShard) }, secondShard + ": " + ManifestFile + " does not list it"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := listed(t, tt.change)
			_, err := Open(dir)
			wantErr(t, err, ErrMalformed, tt.part, ManifestFile)
		})
	}
}

func without(all []FileHash, name string) []FileHash {
	return slices.DeleteFunc(all, func(h FileHash) bool { return h.Name == name })
}

// Models without sums open as ever, and Verify says that it can't tell.
func TestNoSums(t *testing.T) {
	dir := listed(t, func([]FileHash) []FileHash { return nil })
	plain := folder(t, tinyConfig, tinySpecs(t), 0)
	put(t, filepath.Join(plain, ManifestFile), []byte("no manifest of ours"))
	bare := listed(t, nil)
	os.Remove(filepath.Join(bare, ManifestFile))
	for dir, part := range map[string]string{dir: "quantize again", bare: "quantize again", plain: "full precision"} {
		c, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if c.Sums() != nil {
			t.Errorf("%s: sums %v", dir, c.Sums())
		}
		wantErr(t, c.Verify(), ErrNoSums, dir, part)
	}
}

// What is accepted has plain names, and the sums of files.
func FuzzParseSums(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	for _, s := range []string{`{"files":[{"name":"a","bytes":1,"sha256":"` + sum + `"}]}`, `{}`, `{"files":null}`, `{"files":[null]}`, `[]`, ``,
		`{"files":[{"name":"../a","bytes":1,"sha256":"` + sum + `"}]}`, `{"files":[{"name":"a","bytes":-1,"sha256":"` + sum + `"}]}`, `{"files":{"a":1}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := parseSums(data, "specquant.json")
		if err != nil {
			if !errors.Is(err, ErrMalformed) || files != nil {
				t.Fatalf("%v beside %v", files, err)
			}
			return
		}
		for _, h := range files {
			if h.Name == "" || filepath.Base(h.Name) != h.Name || h.Name == ".." || h.Name == "." || h.Bytes < 0 || len(h.SHA256) != 64 {
				t.Fatalf("accepted %+v", h)
			}
		}
	})
}
