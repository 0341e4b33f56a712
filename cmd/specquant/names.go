package main

import (
	"reflect"

	"github.com/alecthomas/kong"
	"github.com/specquant/specquant/internal/hub"
)

// resolveNames turns the names of models among a command's arguments into the folders
// or files that they stand for: this is the one place where it is decided that what may
// be a folder to read may be a name. chat, whose argument is a MODEL, does it itself.
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

// resolveModel is the folder or file that a name stands for; a path stays as it is.
func resolveModel(name string) (string, error) {
	config, err := hub.FromEnv()
	if err != nil {
		return "", err
	}
	return config.Resolve(name)
}
