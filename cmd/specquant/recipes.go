package main

import (
	"fmt"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/recipe"
)

type recipesCmd struct {
	Name string `arg:"" optional:"" help:"Print this embedded recipe as YAML." placeholder:"NAME"`
	JSON bool   `name:"json" help:"Write JSON: the list, or the recipe as a manifest has it."`
}

// Help implements kong.HelpProvider: the whole recipe language.
func (c *recipesCmd) Help() string { return recipe.Help() }

// recipeInfo is one recipe in the JSON list.
type recipeInfo struct {
	specquant.Recipe
	Default bool `json:"default"`
}

func (c *recipesCmd) Run(e *env) error {
	if c.Name != "" && c.JSON {
		data, err := specquant.RecipeSource(c.Name)
		if err != nil {
			return err
		}
		r, err := recipe.Parse(data, c.Name)
		if err != nil {
			return err
		}
		return e.writeJSON(r)
	}
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
	if c.JSON {
		var list []recipeInfo
		for _, r := range recipes {
			list = append(list, recipeInfo{r, r.Name == specquant.DefaultRecipe})
		}
		return e.writeJSON(list)
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
