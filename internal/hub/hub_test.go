package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	for in, want := range map[string]Name{
		"org/model": {Repo: "org/model"}, "model": {Repo: "model"}, "org/model:Q4_K_M": {Repo: "org/model", File: "Q4_K_M"},
		"org/model@v1.0:sub/x.gguf": {Repo: "org/model", Revision: "v1.0", File: "sub/x.gguf"}, "hf.co/org/model": {Repo: "org/model"},
		"o/m@refs/pr/1": {Repo: "o/m", Revision: "refs/pr/1"},
	} {
		if got, err := ParseName(in); err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "/", "a/b/c", "../x", "a/..", "a--b", "-a", "a.", "a/b:../../x", "a/b:/etc/passwd", "a/b@../x", "a/b@a//b", "a b", "a/b:c:d", "a\\b", "a/b:con", "a/b:x.", "C:\\x", "a\x00", strings.Repeat("a", 97), "a/b.git", ".hidden"} {
		if got, err := ParseName(in); err == nil {
			t.Errorf("%q: accepted as %+v", in, got)
		}
	}
}

func TestFromEnv(t *testing.T) {
	for _, v := range []string{"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "SPECQUANT_HOME"} {
		t.Setenv(v, "")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	get := func() Config {
		t.Helper()
		c, err := FromEnv()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := get(); c.Cache != filepath.Join(home, ".cache", "huggingface", "hub") || c.Store != filepath.Join(home, ".cache", "specquant") || c.Endpoint != "https://huggingface.co" || c.Offline || c.Token != "" {
		t.Errorf("%+v", c)
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "x"))
	if c := get(); c.Cache != filepath.Join(home, "x", "huggingface", "hub") {
		t.Errorf("%+v", c)
	}
	t.Setenv("HF_HOME", "~/hf")
	os.MkdirAll(filepath.Join(home, "hf"), 0o755)
	os.WriteFile(filepath.Join(home, "hf", "token"), []byte("from-file\n"), 0o600)
	if c := get(); c.Cache != filepath.Join(home, "hf", "hub") || c.Token != "from-file" || c.Store != filepath.Join(home, "specquant") {
		t.Errorf("%+v", c)
	}
	t.Setenv("HF_HUB_CACHE", filepath.Join(home, "c"))
	t.Setenv("HF_TOKEN", "t")
	t.Setenv("HF_HUB_OFFLINE", "yes")
	t.Setenv("HF_ENDPOINT", "http://mirror:8080/hf/")
	t.Setenv("SPECQUANT_HOME", filepath.Join(home, "s"))
	if c := get(); c.Cache != filepath.Join(home, "c") || c.Token != "t" || !c.Offline || c.Endpoint != "http://mirror:8080/hf" || c.Store != filepath.Join(home, "s") {
		t.Errorf("%+v", c)
	}
	for v, bad := range map[string]string{"HF_ENDPOINT": "ftp://x", "HF_TOKEN": "a\nb"} {
		t.Run(v, func(t *testing.T) {
			t.Setenv(v, bad)
			if _, err := FromEnv(); err == nil || !strings.Contains(err.Error(), v) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestWanted(t *testing.T) {
	files := func(names ...string) (out []File) {
		for _, n := range names {
			out = append(out, File{Path: n})
		}
		return out
	}
	for _, c := range []struct {
		name, file string
		have       []File
		want, err  string
	}{
		{"single", "", files("config.json", "model.safetensors", "pytorch_model.bin", "README.md", "onnx/model.safetensors"), "config.json model.safetensors", ""},
		{"sharded", "", files("config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", "consolidated.safetensors", "original/consolidated.00.pth"),
			"config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json", ""},
		{"one GGUF", "", files("README.md", "m-Q8_0.gguf"), "m-Q8_0.gguf", ""},
		{"several GGUFs", "", files("m-Q8_0.gguf", "m-Q4_K_M.gguf"), "", "holds 2 GGUF models: choose one"},
		{"one split GGUF", "", files("m-00002-of-00002.gguf", "README.md", "m-00001-of-00002.gguf"), "m-00001-of-00002.gguf m-00002-of-00002.gguf", ""},
		{"split, chosen by part", "q4", files("q/m-Q4-00001-of-00003.gguf", "m-Q8_0.gguf", "q/m-Q4-00003-of-00003.gguf", "q/m-Q4-00002-of-00003.gguf"),
			"q/m-Q4-00001-of-00003.gguf q/m-Q4-00002-of-00003.gguf q/m-Q4-00003-of-00003.gguf", ""},
		{"split, chosen by its first file", "m-Q4-00001-of-00002.gguf", files("m-Q4-00001-of-00002.gguf", "m-Q4-00002-of-00002.gguf", "m-Q4_K-00001-of-00002.gguf", "m-Q4_K-00002-of-00002.gguf"), "m-Q4-00001-of-00002.gguf m-Q4-00002-of-00002.gguf", ""},
		{"split, chosen by another file", "m-Q4-00002-of-00002.gguf", files("m-Q4-00001-of-00002.gguf", "m-Q4-00002-of-00002.gguf"), "m-Q4-00001-of-00002.gguf m-Q4-00002-of-00002.gguf", ""},
		{"two splits of one name", "q4", files("m-Q4-00001-of-00002.gguf", "m-Q4-00002-of-00002.gguf", "m-Q4-00001-of-00001.gguf"), "", "in 2 files"},
		{"split, not whole", "q4", files("m-Q4-00001-of-00003.gguf", "m-Q4-00003-of-00003.gguf"), "", "m-Q4-00002-of-00003.gguf is missing in the repository"},
		{"split, without its first", "", files("m-Q4-00002-of-00002.gguf"), "", "m-Q4-00001-of-00002.gguf is missing"},
		{"not a number of a split", "", files("m-00003-of-00002.gguf"), "m-00003-of-00002.gguf", ""},
		{"chosen by part", "q4_k", files("m-Q8_0.gguf", "m-Q4_K_M.gguf"), "m-Q4_K_M.gguf", ""},
		{"chosen by name", "m-Q8_0.gguf", files("sub/m-Q8_0.gguf", "m-Q4_K_M.gguf"), "sub/m-Q8_0.gguf", ""},
		{"may be two", "Q4", files("m-Q4_0.gguf", "m-Q4_K_M.gguf"), "", "could be any of"},
		{"not there", "Q2", files("m-Q4_0.gguf"), "", "has no file"},
		{"no GGUFs", "Q2", files("config.json"), "", "holds no GGUF files"},
		{"pickled", "", files("config.json", "pytorch_model.bin"), "", "are programs and are not opened"},
		{"nothing", "", files("README.md"), "", "holds no model"},
	} {
		r := &Repo{Name: Name{Repo: "o/m", File: c.file}, Files: c.have}
		got, err := r.Wanted()
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, expected %q", c.name, err, c.err)
			}
			continue
		}
		var names []string
		for _, f := range got {
			names = append(names, f.Path)
		}
		if strings.Join(names, " ") != c.want || err != nil {
			t.Errorf("%s: %v, %v", c.name, names, err)
		}
	}
}

// TestStore lists, finds and removes what is in the cache and what was quantized here.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	c := Config{Cache: filepath.Join(dir, "hub"), Store: filepath.Join(dir, "specquant")}
	commit := strings.Repeat("ab", 20)
	put := func(parts ...string) {
		path := filepath.Join(append([]string{dir}, parts...)...)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(commit), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, repo := range []string{"models--a--m", "models--b--m", "models--a--x", "models--g--g", "models--half--h"} {
		put("hub", repo, "refs", "main")
		if repo != "models--g--g" && repo != "models--half--h" {
			put("hub", repo, "snapshots", commit, "config.json")
		}
	}
	put("hub", "models--g--g", "snapshots", commit, "g-Q4_0.gguf")
	put("hub", "models--half--h", "snapshots", commit, "tokenizer.json")
	put("hub", "models--s--s", "refs", "main")
	put("hub", "models--s--s", "snapshots", commit, "s-00001-of-00002.gguf")
	put("hub", "models--s--s", "snapshots", commit, "s-00002-of-00002.gguf")
	put("hub", "datasets--a--d", "refs", "main")
	put("specquant", "models", "a--x", "quarot-4-8-8", "config.json")
	all, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range all {
		names = append(names, m.Name)
		if m.Bytes < 40 {
			t.Errorf("%s: %d bytes", m.Name, m.Bytes)
		}
	}
	if got := strings.Join(names, " "); got != "a/m a/x a/x:quarot-4-8-8 b/m g/g half/h s/s" {
		t.Errorf("list: %s", got)
	}
	for in, want := range map[string]string{
		"a/m": filepath.Join(c.Cache, "models--a--m", "snapshots", commit), "x": filepath.Join(c.Cache, "models--a--x", "snapshots", commit),
		"A/X:quarot-4-8-8": filepath.Join(c.Store, "models", "a--x", "quarot-4-8-8"), "g": filepath.Join(c.Cache, "models--g--g", "snapshots", commit, "g-Q4_0.gguf"),
		"g/g:q4": filepath.Join(c.Cache, "models--g--g", "snapshots", commit, "g-Q4_0.gguf"), dir: dir, "./nothing": "./nothing", "/no/such/folder": "/no/such/folder",
		"s/s": filepath.Join(c.Cache, "models--s--s", "snapshots", commit, "s-00001-of-00002.gguf"), "s/s:s-00002-of-00002.gguf": filepath.Join(c.Cache, "models--s--s", "snapshots", commit, "s-00001-of-00002.gguf"),
		"a/m@" + commit: filepath.Join(c.Cache, "models--a--m", "snapshots", commit),
	} {
		if got, err := c.Resolve(in); err != nil || got != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{"m": "could be a/m or b/m", "a/z": "specquant pull a/z", "half/h": "only partly downloaded", "a/m@v2": "specquant pull", "a/x:other": "no model of this name"} {
		if got, err := c.Resolve(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	var missing *NotHereError
	if _, err := c.Resolve("zzz"); !errors.As(err, &missing) {
		t.Errorf("error %v", err)
	}
	for _, n := range []string{"a/x:quarot-4-8-8", "b/m"} {
		gone, bytes, err := c.Remove(n)
		if err != nil || bytes < 40 {
			t.Errorf("%s: %v", n, err)
		}
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	if _, err := c.Resolve("m"); err != nil {
		t.Error(err)
	}
	if _, _, err := c.Remove("../hub"); err == nil {
		t.Error("a path was removed")
	}
}
