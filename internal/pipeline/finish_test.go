package pipeline

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/testmodel"
)

// Wherever the embedded text is cut, what is left is text.
func TestBeginning(t *testing.T) {
	for n, want := range []string{"", "a", "a", "aé", "aé", "aé", "aé", "aé🙂", "aé🙂b", "aé🙂b"} {
		if got := beginning("aé🙂b", n); got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
	text := calibration.Default()
	for n := range min(len(text), 20000) {
		got := beginning(text, n)
		if last, size := utf8.DecodeLastRuneInString(got); len(got) > n || len(got) < n-3 || n > 3 && last == utf8.RuneError && size == 1 {
			t.Fatalf("%d bytes: %d, the last character %q", n, len(got), last)
		}
	}
}

// The manifest has the sum of every other file of the artefact, and they are
// true: also of a job that was stopped between writing the manifest and giving
// the artefact its name.
func TestManifestSums(t *testing.T) {
	o := options(t, testmodel.Options{}, smallRecipe(t, "rtn", "4-8-16"), 2)
	if err := os.WriteFile(filepath.Join(o.Dir, "LICENSE"), []byte("all is allowed"), 0o644); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		var m artefact.Manifest
		data, err := os.ReadFile(filepath.Join(o.Out, artefact.ManifestFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		want := sums(t, o.Out)
		delete(want, artefact.ManifestFile)
		got := map[string]string{}
		for _, f := range m.Files {
			got[f.Name] = f.SHA256
		}
		same(t, "the manifest", got, want)
		if err := artefact.Verify(o.Out); err != nil {
			t.Error(err)
		}
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	check()
	whole := sums(t, o.Out)
	if err := os.Rename(o.Out, o.Out+PartialSuffix); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	check()
	same(t, "taken up when all was done", sums(t, o.Out), whole)
}
