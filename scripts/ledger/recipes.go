package main

import (
	"embed"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/checkpoint"
)

//go:embed recipes/*.yaml
var embedded embed.FS

// source is the YAML of a recipe without changes: ours of this folder, or one of
// the program's.
func source(name string) ([]byte, error) {
	if data, err := embedded.ReadFile(path.Join("recipes", name+".yaml")); err == nil {
		return data, nil
	}
	return specquant.RecipeSource(name)
}

// write gives the library's name for a recipe: its own, or the path of a file in
// the folder that is written here.
func (r rowRecipe) write(folder string) (string, error) {
	if r.Base == "" {
		if _, err := specquant.RecipeSource(r.Name); err == nil {
			return r.Name, nil
		}
	}
	data, err := source(r.family())
	if err != nil {
		return "", err
	}
	if data, err = override(data, append([]change{{"name", r.Name}}, r.Changes...)...); err != nil {
		return "", fmt.Errorf("recipe %s: %w", r.Name, err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(folder, r.Name+".yaml")
	return file, checkpoint.WriteFileAtomic(file, data)
}
