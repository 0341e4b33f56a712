package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testdata"
)

// call runs the command in this process.
func call(args ...string) (code int, out, errOut string) {
	var o, e bytes.Buffer
	code = run(args, &o, &e)
	return code, o.String(), e.String()
}

// quantized is a copy of a small trained checkpoint, and an artefact of it.
func quantized(t *testing.T) (model, out string) {
	t.Helper()
	dir := t.TempDir()
	model, out = filepath.Join(dir, "model"), filepath.Join(dir, "out")
	copyDir(t, testdata.Path(t, "models", "books-1m"), model)
	if code, _, e := call("quantize", model, "-r", "rtn", "-o", out); code != 0 {
		t.Fatal(e)
	}
	return model, out
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		edit(t, filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), func(d []byte) []byte { return d })
	}
}

// edit writes what do makes of a file to another, or the same.
func edit(t *testing.T, from, to string, do func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, do(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// damage changes 1,500 bytes in the middle: numbers of 4 bits, any of which is
// as good as another.
func damage(data []byte) []byte {
	for i := range 1500 {
		data[len(data)/2+i] ^= 0x11
	}
	return data
}

const someShard = "model-00002-of-00005.safetensors"

// Every command says that a model is damaged, by file and tensor; of one from before
// there were sums there is a note.
func TestDamage(t *testing.T) {
	model, out := quantized(t)
	dir := filepath.Dir(out)
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("A sentence about nothing in particular. ", 60)), 0o644); err != nil {
		t.Fatal(err)
	}
	tasks := filepath.Join(dir, "tasks.jsonl")
	if err := os.WriteFile(tasks, []byte(`{"goal":"a","sol1":"b","sol2":"c","label":0}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	bad, old, short := filepath.Join(dir, "bad"), filepath.Join(dir, "old"), filepath.Join(dir, "short")
	for _, d := range []string{bad, old, short} {
		copyDir(t, out, d)
	}
	edit(t, filepath.Join(bad, someShard), filepath.Join(bad, someShard), damage)
	edit(t, filepath.Join(old, "config.json"), filepath.Join(old, "config.json"), func(data []byte) []byte {
		return []byte(strings.Replace(string(data), `"format_version": 5`, `"format_version": 4`, 1))
	})
	edit(t, filepath.Join(old, "specquant.json"), filepath.Join(old, "specquant.json"), func(data []byte) []byte {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		delete(m, "files")
		delete(m, "crc32c")
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	})
	edit(t, filepath.Join(short, "generation_config.json"), filepath.Join(short, "generation_config.json"), func(d []byte) []byte { return append(d, '\n') })
	page := filepath.Join(dir, "page.html")
	for _, c := range []struct {
		args string // X: the artefact
		fast bool   // looks at sizes only
	}{
		{"eval ppl X --text " + text, false},
		{"eval divergence X --against " + model + " --text " + text, false},
		{"eval divergence " + model + " --against X --text " + text, false},
		{"eval tasks X --tasks piqa=" + tasks, false},
		{"diff X " + model + " --text " + text, false},
		{"diff " + model + " X --text " + text, false},
		{"doctor X", false},
		{"report X -o " + page, false},
		{"inspect X", false},
		{"inspect X --brief", true},
		{"run X -p a -n 2", true},
		{"bench X --prefill 4 --decode 1 --batch 1 --rounds 1", true},
	} {
		t.Run(c.args, func(t *testing.T) {
			on := func(artefact string) (int, string, string) {
				args := strings.Fields(c.args)
				args[slices.Index(args, "X")] = artefact
				return call(args...)
			}
			if code, _, e := on(out); code != 0 || strings.Contains(e, "sha256") || strings.Contains(e, "note:") {
				t.Errorf("whole: %d, %s", code, e)
			}
			code, _, e := on(bad)
			if code != 1 || !strings.Contains(e, filepath.Join(bad, someShard)+": tensor ") || !strings.Contains(e, "CRC-32C") || !strings.Contains(e, "copy it again, or quantize again") {
				t.Errorf("damaged: %d, %s", code, e)
			}
			if code, _, e := on(short); code != 1 || !strings.Contains(e, "generation_config.json: has 37 bytes, expected 36") {
				t.Errorf("longer: %d, %s", code, e)
			}
			if c.fast {
				return
			}
			if code, o, e := on(old); code != 0 || !strings.Contains(o+e, "no checksums") {
				t.Errorf("without sums: %d, %s%s", code, o, e)
			}
		})
	}
}

// A log of questions is not gone on with by a model that differs in the middle
// of one tensor.
func TestLogOfAnotherModel(t *testing.T) {
	model, _ := quantized(t)
	dir := filepath.Dir(model)
	tasks, log := filepath.Join(dir, "tasks.jsonl"), filepath.Join(dir, "log.jsonl")
	if err := os.WriteFile(tasks, []byte(`{"goal":"a","sol1":"b","sol2":"c","label":0}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if code, _, e := call("eval", "tasks", model, "--tasks", "piqa="+tasks, "--log", log); code != 0 {
			t.Fatal(e)
		}
	}
	weights := filepath.Join(model, "model.safetensors")
	edit(t, weights, weights, func(data []byte) []byte { data[len(data)/2] ^= 1; return data })
	if code, _, e := call("eval", "tasks", model, "--tasks", "piqa="+tasks, "--log", log); code != 1 || !strings.Contains(e, "log of another run") {
		t.Errorf("%d, %s", code, e)
	}
}

// A config.json with a block less than the weights is refused wherever a model
// is opened.
func TestBlockLess(t *testing.T) {
	model, out := quantized(t)
	for _, d := range []string{model, out} {
		path := filepath.Join(d, "config.json")
		edit(t, path, path, func(data []byte) []byte {
			return regexp.MustCompile(`"num_hidden_layers": *4`).ReplaceAll(data, []byte(`"num_hidden_layers": 3`))
		})
	}
	for _, args := range []string{"quantize " + model + " -r rtn -o " + out + "2", "plan " + model, "run " + model + " -p a", "inspect " + model, "run " + out + " -p a", "inspect " + out} {
		code, _, e := call(strings.Fields(args)...)
		if code != 1 || !strings.Contains(e, `"model.layers.3.`) || !strings.Contains(e, "num_hidden_layers in config.json is 3") || !strings.Contains(e, "set num_hidden_layers to 4") {
			t.Errorf("%s: %d, %s", args, code, e)
		}
	}
}

// A weight that is not finite is found by a whole look at a checkpoint, which --brief is not.
func TestInspectScans(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model")
	copyDir(t, testdata.Path(t, "models", "books-1m"), model)
	weights := filepath.Join(model, "model.safetensors")
	edit(t, weights, weights, func(data []byte) []byte {
		for i := range 4 { // a NaN in each 16- or 32-bit float format
			data[len(data)-1-i] = 0xff
		}
		return data
	})
	for _, args := range [][]string{{"inspect", model}, {"inspect", model, "--json"}} {
		if code, _, e := call(args...); code != 1 || !strings.Contains(e, "is NaN, expected a finite float32") {
			t.Errorf("%v: %d, %s", args, code, e)
		}
	}
	if code, _, e := call("inspect", model, "--brief"); code != 0 {
		t.Error(e)
	}
}

func TestFoldNames(t *testing.T) {
	got := strings.Join(foldNames([]string{"a.0.freq", "a.1.freq", "a.10.freq", "b.x1.y", "c"}), "|")
	if want := "a.N.freq (3)|b.x1.y|c"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var many []string
	for c := 'a'; c <= 'z'; c++ {
		many = append(many, string(c))
	}
	if got := foldNames(many); len(got) != mostKinds+1 || got[mostKinds] != "and 14 more kinds" {
		t.Errorf("%q", got)
	}
}
