package pipeline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestSize: the artefact's folder is no larger than what was asked for, and not much smaller, with
// biases and with many small layers too.
func TestSize(t *testing.T) {
	plain := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nhead: {bits: 8}\nembedding: {bits: 8}\n")
	multiples := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {group: 16, scales: multiples}\nhead: {bits: 7, group: 16, scales: multiples}\nembedding: {bits: 5, group: 32, scales: multiples}\n")
	for _, c := range []struct {
		r    *recipe.Recipe
		m    testmodel.Options
		size int64
	}{
		{plain, testmodel.Options{Hidden: 256, Intermediate: 512, Layers: 3}, 2e6},
		{multiples, testmodel.Options{Hidden: 256, Intermediate: 512, Layers: 3}, 1.2e6},
		{multiples, testmodel.Options{Hidden: 256, Intermediate: 512, Layers: 6, Bias: true, Config: map[string]any{"attention_bias": true, "mlp_bias": true}}, 2.5e6},
		{multiples, testmodel.Options{Hidden: 64, Intermediate: 128, Layers: 24}, 1e6},
	} {
		o := options(t, c.m, c.r, 2)
		o.Size = c.size
		m, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		total := folderBytes(o.Out)
		if total > o.Size || total < o.Size*9/10 {
			t.Errorf("%+v: the folder has %d bytes in %.2f bits a weight, %d were asked for", c.m, total, m.BitsPerWeight, o.Size)
		}
		t.Logf("%d of %d bytes", total, o.Size)
	}
}

// The tokenizer's JSON loses its white space and nothing else; what is not JSON stays.
func TestSideFile(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string][2]string{
		"a.json": {"{\n  \"a b\" : [ 1, 2 ],\n \"t\": \"x  y\\n\"}\n", `{"a b":[1,2],"t":"x  y\n"}` + "\n"},
		"b.json": {"{ broken", "{ broken"},
		"c.txt":  {"{ \"a\": 1 }", "{ \"a\": 1 }"},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(c[0]), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := sideFile(filepath.Join(dir, name)); err != nil || string(got) != c[1] {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c[1])
		}
	}
	if _, err := sideFile(filepath.Join(dir, "none.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v, want %v", err, fs.ErrNotExist)
	}
}

// weights.fill raises bits and never takes any: of a model so small that its tokenizer
// is most of it the recipe's own are kept.
func TestFillIsNoLess(t *testing.T) {
	r := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {fill: q4_0, group: 64}\n")
	m, err := Run(t.Context(), options(t, testmodel.Options{}, r, 1))
	if err != nil {
		t.Fatal(err)
	}
	if m.Recipe.Bits.Weights != 4 || m.Recipe.Weights.Group != 64 {
		t.Errorf("%d bits in groups of %d, want 4 of 64", m.Recipe.Bits.Weights, m.Recipe.Weights.Group)
	}
}
