package main

import (
	"fmt"

	"github.com/specquant/specquant"
)

type recipesCmd struct {
	Name string `arg:"" optional:"" help:"Print this recipe as it is in the binary, in YAML." placeholder:"NAME"`
}

func (c *recipesCmd) Run(e *env) error {
	if c.Name != "" {
		data, err := specquant.RecipeSource(c.Name)
		if err != nil {
			return err
		}
		_, err = e.out.Write(data)
		return err
	}
	recipes, err := specquant.Recipes()
	if err != nil {
		return err
	}
	width := 0
	for _, r := range recipes {
		width = max(width, len(r.Name))
	}
	for _, r := range recipes {
		mark := ""
		if r.Name == specquant.DefaultRecipe {
			mark = " (the default)"
		}
		fmt.Fprintf(e.out, "%-*s  %-7s  %s%s\n", width, r.Name, r.Bits, r.About, mark)
	}
	return nil
}
