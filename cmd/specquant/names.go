package main

import (
	"reflect"

	"github.com/alecthomas/kong"
	"github.com/specquant/specquant/internal/hub"
)

// resolveNames replaces names of models among a command's arguments by their folders or files.
// It is the only place that decides which arguments may be names. Only chat, whose argument is
// a MODEL, resolves its name itself.
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
