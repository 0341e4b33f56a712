package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/specquant/specquant/internal/recipe"
)

// The models and the setting of the tables of variants.
var partModels = []string{"books-1m", "tinystories-656k"}

const partBits = "4-4-4"

// change sets a key of a recipe's YAML, as in "branch.bits"; no value leaves the
// key out, or the section.
type change struct {
	Key   string
	Value any
}

// parts are the changes of specquant-fast that show what each part is worth.
// Those that change nothing, as the recipe has not what they take away, are left
// out of the table.
var parts = []struct {
	Label   string
	Changes []change
}{
	{"without smoothing", []change{{"smooth", nil}}},
	{"without fitting", []change{{"solve.correct", nil}}},
	{"fitted to outputs only", []change{{"solve.correct", "outputs"}}},
	{"without refinement", []change{{"solve.sweeps", nil}, {"solve.rescale", nil}}},
	{"symmetric grid", []change{{"weights.zero", "symmetric"}}},
	{"clip mse", []change{{"weights.clip", "mse"}}},
	{"without rotations", []change{{"rotate", nil}}},
	{"keys turned, not balanced", []change{{"rotate.cache", "hadamard"}}},
	{"without branch", []change{{"branch", nil}}},
	{"branch not removed", []change{{"branch.remove", false}}},
	{"branch in 16 bits", []change{{"branch.bits", 16}}},
	{"branch svd", []change{{"branch.basis", "svd"}}},
	{"activations per token", []change{{"activations.group", 0}}},
}

// seedNumbers are the seeds of the calibration windows beside the tables' own, 0.
var seedNumbers = []int{1, 2, 3}

// partRecipes are the variants of specquant-fast, and the labels of those that
// change nothing.
func partRecipes() (out []rowRecipe, idle []string, err error) {
	base, err := source(fast)
	if err != nil {
		return nil, nil, err
	}
	was, err := content(base)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range parts {
		data, err := override(base, p.Changes...)
		if err != nil {
			return nil, nil, fmt.Errorf("%s %s: %w", fast, p.Label, err)
		}
		is, err := content(data)
		if err != nil {
			return nil, nil, fmt.Errorf("%s %s: %w", fast, p.Label, err)
		}
		if is == was {
			idle = append(idle, p.Label)
			continue
		}
		name := fast + "-" + strings.ReplaceAll(strings.ReplaceAll(p.Label, ",", ""), " ", "-")
		out = append(out, rowRecipe{Name: name, Label: p.Label, Kind: ours, Base: fast, Changes: p.Changes})
	}
	return out, idle, nil
}

// seedRecipes are the quick recipes with other calibration windows. Plain
// rounding has none.
func seedRecipes() (out []rowRecipe) {
	for _, r := range recipes {
		if r.Name == plainOnes || slices.Contains(slow, r.Name) {
			continue
		}
		for _, seed := range seedNumbers {
			out = append(out, rowRecipe{Name: fmt.Sprintf("%s-seed-%d", r.Name, seed), Label: r.label(), Kind: r.Kind, Base: r.Name,
				Changes: []change{{"calibration.seed", seed}}, Seed: seed})
		}
	}
	return out
}

// override applies changes to a recipe's YAML. The order of the keys stays,
// comments go.
func override(source []byte, changes ...change) ([]byte, error) {
	var doc yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(source, &doc, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	for _, c := range changes {
		if err := set(&doc, c.Key, strings.Split(c.Key, "."), c.Value); err != nil {
			return nil, err
		}
	}
	return yaml.Marshal(doc)
}

// set changes the key that path leads to.
func set(doc *yaml.MapSlice, key string, path []string, value any) error {
	i := slices.IndexFunc(*doc, func(item yaml.MapItem) bool { return item.Key == path[0] })
	switch {
	case i < 0 && value == nil:
		return nil
	case i < 0:
		*doc = append(*doc, yaml.MapItem{Key: path[0]})
		i = len(*doc) - 1
	}
	if len(path) == 1 {
		if value == nil {
			*doc = slices.Delete(*doc, i, i+1)
			return nil
		}
		(*doc)[i].Value = value
		return nil
	}
	section, ok := (*doc)[i].Value.(yaml.MapSlice)
	if !ok && (*doc)[i].Value != nil {
		return fmt.Errorf("%s: found %v at %s, expected a section", key, (*doc)[i].Value, path[0])
	}
	if err := set(&section, key, path[1:], value); err != nil {
		return err
	}
	(*doc)[i].Value = section
	return nil
}

// content is all that a recipe does, comparable.
func content(source []byte) (string, error) {
	r, err := recipe.Parse(source, "variant")
	if err != nil {
		return "", err
	}
	r.Name, r.About = "", ""
	data, err := json.Marshal(r)
	return string(data), err
}
