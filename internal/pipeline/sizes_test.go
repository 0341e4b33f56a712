package pipeline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// What a size allows: more bits first, then narrower groups; each grid a little
// less room away from the next.
func TestFit(t *testing.T) {
	c := &checkpoint.Config{HiddenSize: 576, IntermediateSize: 1536, Layers: 30, Heads: 9, KVHeads: 3, HeadDim: 64, VocabSize: 49152, TieEmbeddings: true}
	halves := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {zero: asymmetric}\n")
	multiples := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nweights: {group: 16, scales: multiples}\n")
	const s, z, a = quant.ZeroSymmetric, quant.ZeroCentred, quant.ZeroAsymmetric
	for _, k := range []struct {
		r           *recipe.Recipe
		size        int64
		bits, group int
		zero        quant.ZeroKind
	}{
		{smallRecipe(t, "rtn", "4-8-8"), 400e6, 8, 32, s},
		{smallRecipe(t, "rtn", "4-8-8"), 118e6, 4, 32, s},
		{smallRecipe(t, "rtn", "4-8-8"), 115e6, 4, 64, s},
		{smallRecipe(t, "rtn", "4-8-8"), 112.7e6, 4, 128, s},
		{smallRecipe(t, "rtn", "4-8-8"), 111.4e6, 4, 0, s},
		{smallRecipe(t, "rtn", "4-8-8"), 127e6, 5, 128, s},
		{smallRecipe(t, "rtn", "4-8-8"), 85e6, 2, 0, s},
		{halves, 120.4e6, 4, 64, a},
		{multiples, 400e6, 8, 32, z},
		{multiples, 152.9e6, 7, 128, z},
		{multiples, 152.1e6, 7, 16, s},
		{multiples, 127e6, 5, 16, s},
		{multiples, 125.9e6, 5, 32, s},
		{multiples, 114.6e6, 4, 16, s},
		{multiples, 112.8e6, 4, 32, s},
		{multiples, 111.4e6, 4, 0, z},
		{multiples, 105e6, 3, 16, s},
		{multiples, 96.5e6, 2, 16, s},
		{multiples, 85e6, 2, 0, z},
	} {
		r, err := fit(c, k.r, k.size, 2*49152*576, 1<<20)
		if err != nil {
			t.Fatalf("%d bytes: %v", k.size, err)
		}
		if r.Bits.Weights != k.bits || r.Weights.Group != k.group || r.Weights.Zero != k.zero || (r.Weights.Scales == quant.ScalesMultiples) != (k.r == multiples && k.zero == s) {
			t.Errorf("%s scales, %d bytes: %d bits, %+v, want %d bits in groups of %d, zero %s", k.r.Weights.Scales, k.size, r.Bits.Weights, r.Weights, k.bits, k.group, k.zero)
		}
	}
	_, err := fit(c, smallRecipe(t, "rtn", "4-8-8"), 60e6, 2*49152*576, 1<<20)
	if err == nil || !strings.Contains(err.Error(), "a size of 60.0 MB is asked for") || !strings.Contains(err.Error(), "2 bits") {
		t.Errorf("60 MB: %v", err)
	}
}

// TestSize: the artefact's folder is no larger than what was asked for, and not
// much smaller.
func TestSize(t *testing.T) {
	r := smallRecipe(t, "rtn", "4-8-8", "name: rtn\n", "name: rtn\nhead: {bits: 8}\nembedding: {bits: 8}\n")
	o := options(t, testmodel.Options{Hidden: 256, Intermediate: 512, Layers: 3}, r, 2)
	o.Size = 2e6
	m, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	entries, err := os.ReadDir(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	if total > o.Size || total < o.Size*8/10 {
		t.Errorf("the folder has %d bytes in %.2f bits a weight, %d were asked for", total, m.BitsPerWeight, o.Size)
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

func TestMB(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0.0 MB", 1: "1 byte", 49_999: "49999 bytes", 50_000: "0.1 MB", 6_250_000: "6.2 MB"} {
		if got := MB(bytes); got != want {
			t.Errorf("%d bytes: found %q, expected %q", bytes, got, want)
		}
	}
}
