package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/specquant/specquant/internal/testmodel"
)

// TestSourceChanges: a file of the checkpoint that is written to while the job runs ends
// it, by name; put back, the job is taken up and gives the same bytes; touched, nothing
// happens.
func TestSourceChanges(t *testing.T) {
	small := testmodel.Options{Hidden: 16, Intermediate: 24, Heads: 2, KVHeads: 2, Layers: 2}
	o := options(t, small, parsed(t, "bits: 4-8-8\nsolve: {method: gptq, damp: 0.01}\ncalibration: {samples: 2, tokens: 16, propagate: runtime}\n"), 1)
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want, out := sums(t, o.Out), o.Out
	for _, c := range []struct {
		name, file, found string
		change            func(data []byte) []byte
	}{
		{"a weight", "model.safetensors", "sha256", func(data []byte) []byte { data[len(data)-1] ^= 1; return data }},
		{"longer", "config.json", "bytes", func(data []byte) []byte { return append(data, '\n') }},
		{"gone", "tokenizer.json", "no such file", nil},
		{"touched", "model.safetensors", "", func(data []byte) []byte { return data }},
	} {
		o.Out = out + "-" + strings.ReplaceAll(c.name, " ", "-")
		path := filepath.Join(o.Dir, c.file)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		o.Progress = func(e Event) {
			if e.Block != 1 || e.Layers == nil {
				return
			}
			if c.change == nil {
				err = os.Remove(path)
			} else if f, opened := os.OpenFile(path, os.O_WRONLY, 0); opened != nil {
				err = opened
			} else { // in place, as the file is mapped
				_, err = f.Write(c.change(append([]byte(nil), before...)))
				err = errors.Join(err, f.Close(), os.Chtimes(path, time.Time{}, info.ModTime().Add(time.Second)))
			}
		}
		_, ran := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var changed *ChangedError
		switch {
		case c.found == "":
			if ran != nil {
				t.Errorf("%s: %v", c.name, ran)
			}
		case !errors.As(ran, &changed) || changed.Path != path || !strings.Contains(changed.Found, c.found):
			t.Errorf("%s: error %v, expected one that names %s and %q", c.name, ran, path, c.found)
		}
		if err := os.WriteFile(path, before, 0o644); err != nil {
			t.Fatal(err)
		}
		o.Progress = nil
		if ran != nil {
			if _, err := Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		same(t, c.name, sums(t, o.Out), want)
	}
}
