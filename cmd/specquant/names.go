package main

import (
	"fmt"
	"reflect"

	"github.com/alecthomas/kong"
	"github.com/specquant/specquant/internal/hub"
)

// resolveNames replaces names of models among a command's arguments by their folders or files.
// It is the only place that decides which arguments may be names. An argument that is a MODEL is
// run, and resolved by modelToRun.
func resolveNames(k *kong.Context) error {
	node := k.Selected()
	if node == nil {
		return nil
	}
	values := append([]*kong.Value(nil), node.Positional...)
	for _, f := range node.Flags {
		if f.Name == "against" {
			values = append(values, f.Value)
		}
	}
	for _, v := range values {
		if !isFolder(v) || v.Tag.PlaceHolder == "MODEL" || v.Target.Kind() != reflect.String || v.Target.String() == "" {
			continue
		}
		path, err := resolveModel(v.Target.String())
		if err != nil {
			return err
		}
		v.Target.SetString(path)
	}
	return nil
}

// resolveModel returns the folder or file of a model's name; a path is returned as it is.
func resolveModel(name string) (string, error) {
	config, err := hub.FromEnv()
	if err != nil {
		return "", err
	}
	return config.Resolve(name)
}

// modelToRun returns the folder or file of a model that run, chat or serve is to run: of a
// checkpoint's name the latest model that was made of it here, unless full.
func modelToRun(e *env, name string, full bool) (string, error) {
	if full {
		return resolveModel(name)
	}
	config, err := hub.FromEnv()
	if err != nil {
		return "", err
	}
	path, quantized, err := config.ResolveToRun(name)
	if quantized != nil {
		fmt.Fprintf(e.err, "using %s, which was quantized here earlier; --full uses the model as it was downloaded\n", quantized.Name)
	}
	return path, err
}

// draftModel is modelToRun for what --draft names; "" for "".
func draftModel(e *env, name string, full bool) (string, error) {
	if name == "" {
		return "", nil
	}
	path, err := modelToRun(e, name, full)
	if err != nil {
		return "", fmt.Errorf("--draft: %w", err)
	}
	return path, nil
}
