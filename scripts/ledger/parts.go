package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/recipe"
	"go.yaml.in/yaml/v3"
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

// parts are the changes of specquant-klt that show what each part is worth.
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

// partRecipes are the variants of specquant-klt, and the labels of those that
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

// override applies changes to a recipe's YAML. The order of the keys stays.
func override(source []byte, changes ...change) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return nil, err
	}
	for _, c := range changes {
		if err := set(doc.Content[0], c.Key, strings.Split(c.Key, "."), c.Value); err != nil {
			return nil, err
		}
	}
	return yaml.Marshal(&doc)
}

// set changes the key of a mapping that path leads to, making it and the sections on
// the way where they are missing; a value of nil removes it.
func set(section *yaml.Node, key string, path []string, value any) error {
	at := -1 // of the key; its value is the next
	for i := 0; i < len(section.Content); i += 2 {
		if section.Content[i].Value == path[0] {
			at = i
		}
	}
	switch {
	case at < 0 && value == nil:
		return nil
	case at < 0:
		at = len(section.Content)
		section.Content = append(section.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: path[0]}, &yaml.Node{Kind: yaml.MappingNode})
	}
	if len(path) > 1 {
		if below := section.Content[at+1]; below.Kind != yaml.MappingNode {
			return fmt.Errorf("%s: found %v at %s, expected a section", key, below.Value, path[0])
		}
		return set(section.Content[at+1], key, path[1:], value)
	}
	if value == nil {
		section.Content = slices.Delete(section.Content, at, at+2)
		return nil
	}
	return section.Content[at+1].Encode(value)
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
