package recipe

import (
	"embed"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/quant"
)

// Embedded recipes that the program names.
const (
	Default = "specquant-fast" // used if no recipe is named
	Paper   = "specquant"      // the method as published
)

//go:embed recipes/*.yaml
var embedded embed.FS

// Names lists the embedded recipes.
func Names() []string {
	entries, err := embedded.ReadDir("recipes")
	if err != nil {
		panic(err) // the folder is embedded in the binary
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Source is the YAML of an embedded recipe, comments included; for an unknown name the
// error lists the embedded recipes.
func Source(name string) ([]byte, error) {
	data, err := embedded.ReadFile(path.Join("recipes", name+".yaml"))
	if err != nil {
		return nil, fmt.Errorf("unknown recipe %q; use one of %s", name, strings.Join(Names(), ", "))
	}
	return data, nil
}

// maxRecipe is the largest size of a recipe file in bytes.
const maxRecipe = 1 << 20

// Load reads an embedded recipe by name, or a YAML file by path.
func Load(name string) (*Recipe, error) {
	if data, err := embedded.ReadFile(path.Join("recipes", name+".yaml")); err == nil {
		return Parse(data, name)
	}
	if ext := filepath.Ext(name); ext != ".yaml" && ext != ".yml" {
		if info, err := input.Stat(name); err == nil && info.Mode().IsRegular() {
			return nil, fmt.Errorf("recipe %s: a recipe file's name ends in .yaml or .yml; rename it if it is one", name)
		}
		return nil, fmt.Errorf("unknown recipe %q; use one of %s, or a .yaml file", name, strings.Join(Names(), ", "))
	}
	data, err := input.ReadFile(name, maxRecipe)
	if err != nil {
		return nil, fmt.Errorf("recipe %w", err)
	}
	return Parse(data, name)
}

// Parse reads a recipe strictly: an unknown key, a value of the wrong type or outside its
// limits, and settings that exclude each other are errors that name the file, the key and,
// if possible, its line and column.
func Parse(data []byte, file string) (*Recipe, error) {
	r, err := read(data)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, fmt.Errorf("recipe %s: %w", file, err)
	}
	return r, nil
}

// SetBits overrides the recipe's bits and removes weights.fill, which would raise them. Where
// multiples do not go with the bits, scales become 16-bit floats.
func (r *Recipe) SetBits(b quant.Bits) error {
	if err := b.Check(); err != nil {
		return err
	}
	r.Bits, r.BitsText, r.Weights.Fill = b, b.String(), ""
	r.Weights.setBits(b)
	return nil
}
