package pipeline

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestSize: the artefact's folder is no larger than what was asked for, and not much smaller, with biases and
// with many small layers too, and with what recipes store beside the layers; and of about the size that was
// planned.
func TestSize(t *testing.T) {
	const solve = "solve: {method: rtn}\ncalibration: {samples: 4, tokens: 32, propagate: runtime}\n"
	beside := func(bits, yaml string) *recipe.Recipe { return parsed(t, "bits: "+bits+"\n"+yaml+solve) }
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
		{multiples, testmodel.Options{Hidden: 128, Intermediate: 256, Layers: 24}, 2.4e6},
		{beside("4-8-8", "learn: {method: flatquant, epochs: 1, batch: 2, rate: 0.02}\n"), testmodel.Options{Hidden: 128, Intermediate: 384, Layers: 3}, 700e3},
		{beside("4-8-8", "branch: {basis: dft, axis: output, components: 6, importance: l2}\n"), testmodel.Options{Hidden: 128, Intermediate: 384, Layers: 3}, 700e3},
		{beside("4-8-8", "branch: {basis: dft, axis: output, components: 2, importance: l2, temperature: 1}\n"), testmodel.Options{Hidden: 128, Intermediate: 384, Layers: 3}, 600e3},
		{beside("4-8-8", "branch: {basis: dct, axis: input, components: 9, importance: abs-max, temperature: 2}\n"), testmodel.Options{Hidden: 128, Intermediate: 384, Layers: 3}, 700e3},
		{beside("4-8-8", "weights: {layers: [{match: o_proj, bits: 16}]}\nbranch: {basis: klt, axis: output, components: 9}\n"), testmodel.Options{Hidden: 128, Intermediate: 384, Layers: 3, Bias: true}, 900e3},
		{beside("4-8-8", "branch: {basis: svd, axis: output, share: .1, bits: 8, inputs: [attn, down]}\n"), testmodel.Options{Hidden: 128, Intermediate: 384, Layers: 3}, 700e3},
		{beside("4-8-8", "rotate: {cache: balanced}\nbranch: {basis: columns, axis: output, components: 40, overhead: .7}\n"), testmodel.Options{Hidden: 128, Intermediate: 96, Layers: 2}, 450e3},
	} {
		o := options(t, c.m, c.r, 2)
		o.Size = c.size
		m, err := Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		total := folderBytes(o.Out)
		j, err := prepare(o)
		if err != nil {
			t.Fatal(err)
		}
		j.ck.Close()
		if off := float64(total)/float64(j.plan.Artefact) - 1; math.Abs(off) > .02 && (c.r.Branch == nil || c.r.Branch.Temperature == 0 || math.Abs(off) > .04) { // channels with no component have no mean
			t.Errorf("%s, %+v: the folder has %d bytes, planned were %d", c.r.Name, c.m, total, j.plan.Artefact)
		}
		if total > o.Size || total < o.Size*9/10 {
			t.Errorf("%+v: the folder has %d bytes in %.2f bits a weight, %d were asked for", c.m, total, m.BitsPerWeight, o.Size)
		}
		t.Logf("%d of %d bytes, planned %d", total, o.Size, j.plan.Artefact)
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
