package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/recipe"
	"go.yaml.in/yaml/v3"
)

// partColumns are the models and settings of the table of variants.
var partColumns = []struct{ Model, Bits string }{
	{"books-1m", "4-4-4"}, {"tinystories-656k", "4-4-4"},
	{"books-1m", "4-8-8"}, {"tinystories-656k", "4-8-8"},
	{"books-1m", "2-8-8"}, {"tinystories-656k", "2-8-8"},
}

// change sets a key of a recipe's YAML, as in "branch.bits"; no value leaves the
// key out, or the section.
type change struct {
	Key   string
	Value any
}

// parts are the changes of the default that show what each part is worth, and what would be
// gained by parts that it has not. Those that change nothing are left out of the table.
var parts = []struct {
	Label   string
	Changes []change
	Only    []string // settings at which the change has an effect; none: all
}{
	{"other calibration windows (seed 1)", []change{{"calibration.seed", 1}}, nil},
	{"other calibration windows (seed 2)", []change{{"calibration.seed", 2}}, nil},
	{"other calibration windows (seed 3)", []change{{"calibration.seed", 3}}, nil},
	{"without smoothing", []change{{"smooth", nil}}, nil},
	{"without rotations", []change{{"rotate", nil}}, nil},
	{"keys turned, not balanced", []change{{"rotate.cache", "hadamard"}}, nil},
	{"to nearest, without GPTQ", []change{{"solve", nil}, {"solve.method", "rtn"}, {"head.method", "rtn"}}, nil},
	{"without activation order", []change{{"solve.act-order", nil}}, nil},
	{"clip mse", []change{{"weights.clip", "mse"}}, nil},
	{"multiples for groups of 32", []change{{"weights.group", 32}}, withMultiples},
	{"16-bit scales for groups of 32", []change{{"weights.scales", nil}, {"weights.zero", "centred"}, {"weights.group", 32}}, withMultiples},
	{"16-bit scales for groups of 64", []change{{"weights.scales", nil}, {"weights.zero", "centred"}, {"weights.group", 64}}, nil},
	{"one 16-bit scale a row", []change{{"weights.scales", nil}, {"weights.zero", "centred"}, {"weights.group", 0}}, nil},
	{"activations per token", []change{{"activations.group", 0}}, []string{"4-4-4"}},
	{"head and embedding in 16 bits", []change{{"head", nil}, {"embedding", nil}}, nil},
	{"128 calibration windows, not 48", []change{{"calibration.samples", 128}}, nil},
	{"and two sweeps", []change{{"solve.sweeps", 2}}, nil},
	{"and a branch as " + klt + "'s", []change{{"branch.basis", "klt"}, {"branch.axis", "output"}, {"branch.components", 16}, {"branch.overhead", 0.25}, {"branch.bits", 8}, {"branch.remove", true}}, nil},
	{"without the fit", []change{{"solve.correct", nil}}, nil},
	{"fitted in full (solve.correct: stream)", []change{{"solve.correct", "stream"}}, nil},
}

// withMultiples are the settings at which the default has multiples: with 4-bit activations it
// has 16-bit scales for groups of 32.
var withMultiples = []string{"4-8-8", "2-8-8"}

// plainName makes a file name of a label.
var plainName = strings.NewReplacer(",", "", " ", "-", "(", "", ")", "", ":", "", "'", "", ".", "-")

// partRecipes are the variants of the default, and the labels of those that change nothing.
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
		out = append(out, rowRecipe{Name: fast + "-" + plainName.Replace(p.Label), Label: p.Label, Kind: ours, Base: fast, Changes: p.Changes, Only: p.Only})
	}
	return out, idle, nil
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
