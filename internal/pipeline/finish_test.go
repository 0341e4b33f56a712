package pipeline

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/testmodel"
)

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
