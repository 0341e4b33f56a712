package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

const sample = `# a comment
name: sample
about: "one: two"
bits: 4-4-4
weights: {group: 0, clip: hessian, zero: centred}
smooth:
  alpha: [off, 0.5]   # a comment
branch:
  basis: klt
  axis: output
  components: 16
  bits: 8
solve: {method: gptq, damp: 0.01, correct: stream}
calibration: {samples: 128, tokens: 512, propagate: runtime}
`

func TestOverride(t *testing.T) {
	for name, c := range map[string]struct {
		changes []change
		check   func(r *recipe.Recipe) bool
	}{
		"nothing": {nil, func(r *recipe.Recipe) bool {
			return r.Name == "sample" && r.About == "one: two" && len(r.Smooth.Alpha) == 2 && r.Smooth.Alpha[0] == recipe.Off
		}},
		"a key":         {[]change{{"branch.bits", 16}}, func(r *recipe.Recipe) bool { return r.Branch.Bits == 16 && r.Branch.Basis == "klt" }},
		"a flow key":    {[]change{{"weights.clip", "mse"}}, func(r *recipe.Recipe) bool { return r.Weights.Clip == "mse" && r.Weights.Zero == "centred" }},
		"no section":    {[]change{{"smooth", nil}}, func(r *recipe.Recipe) bool { return r.Smooth == nil && r.Branch != nil }},
		"no key":        {[]change{{"solve.correct", nil}}, func(r *recipe.Recipe) bool { return r.Solve.Correct == "" && r.Solve.Damp == 0.01 }},
		"a new key":     {[]change{{"calibration.seed", 3}}, func(r *recipe.Recipe) bool { return r.Calibration.Seed == 3 && r.Calibration.Samples == 128 }},
		"a new section": {[]change{{"activations.group", 16}}, func(r *recipe.Recipe) bool { return r.Activations.Group == 16 && r.Activations.Clip == 1 }},
		"what is not":   {[]change{{"rotate", nil}, {"solve.sweeps", nil}, {"tune.epochs", nil}}, func(r *recipe.Recipe) bool { return r.Rotate == nil && r.Tune == nil }},
		"a name":        {[]change{{"name", "other"}}, func(r *recipe.Recipe) bool { return r.Name == "other" }},
	} {
		data, err := override([]byte(sample), c.changes...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r, err := recipe.Parse(data, name)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, data)
		} else if !c.check(r) {
			t.Errorf("%s: got\n%s", name, data)
		}
	}
	if _, err := override([]byte(sample), change{"bits.kv", 4}); err == nil || !strings.Contains(err.Error(), "bits.kv: found 4-4-4 at bits, expected a section") {
		t.Errorf("a key below a value: %v", err)
	}
}

// TestParts: each variant differs from the recipe and from the others, at the settings where it
// has a row, and nowhere else.
func TestParts(t *testing.T) {
	variants, idle, err := partRecipes()
	if err != nil {
		t.Fatal(err)
	}
	if len(idle) > 0 || len(variants) != len(parts) {
		t.Errorf("%d variants of %d, change nothing: %v", len(variants), len(parts), idle)
	}
	for _, bits := range settings {
		seen := map[string]string{}
		b, err := specquant.ParseBits(bits)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range append([]rowRecipe{{Name: fast}}, variants...) {
			base, err := source(v.family())
			if err != nil {
				t.Fatal(err)
			}
			data, err := override(base, v.Changes...)
			if err != nil {
				t.Fatal(err)
			}
			r, err := recipe.Parse(data, "variant")
			if err == nil {
				err = r.SetBits(quant.Bits(b))
			}
			if err != nil {
				t.Fatal(err)
			}
			r.Name, r.About = "", ""
			if b.Activations != 4 {
				r.Activations.Group = 0 // without effect
			}
			is, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if other := seen[string(is)]; other != "" && v.at(bits) {
				t.Errorf("at %s %s does what %s does", bits, v.Name, other)
			} else if other == "" && !v.at(bits) {
				t.Errorf("at %s %s is another, and has no row", bits, v.Name)
			}
			seen[string(is)] = v.Name
		}
	}
}

// TestWrite: what the library is given does what the recipe does.
func TestWrite(t *testing.T) {
	variants, _, err := partRecipes()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, r := range append(variants, recipes...) {
		file, err := r.write(folder)
		if err != nil {
			t.Fatal(err)
		}
		got, err := recipe.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != r.Name {
			t.Errorf("%s: named %s", r.Name, got.Name)
		}
		if r.Name == fitted && got.Solve.Correct != "stream" {
			t.Errorf("%s: solve.correct is %q", r.Name, got.Solve.Correct)
		}
	}
}
