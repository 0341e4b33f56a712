package specquant

import "github.com/specquant/specquant/internal/recipe"

// Recipe is a short description of a recipe. The recipe itself is YAML, see [RecipeSource] and
// docs/RECIPES.md.
type Recipe struct {
	Name  string `json:"name"`
	Bits  string `json:"bits"`  // of weights, activations and KV cache, unless others are asked for
	About string `json:"about"` // what it is
}

// Recipes lists the embedded recipes by name.
func Recipes() ([]Recipe, error) {
	var all []Recipe
	for _, name := range recipe.Names() {
		r, err := recipe.Load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, Recipe{r.Name, r.Bits.String(), r.About})
	}
	return all, nil
}

// RecipeSource returns the YAML of an embedded recipe, from which you can start your own.
func RecipeSource(name string) ([]byte, error) { return recipe.Source(name) }
