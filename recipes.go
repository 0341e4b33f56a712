package specquant

import "github.com/specquant/specquant/internal/recipe"

// RecipeInfo describes an embedded recipe.
type RecipeInfo struct {
	Name  string `json:"name"`
	Bits  string `json:"bits"` // where none are asked for
	About string `json:"about"`
}

// Recipes lists the embedded recipes by name.
func Recipes() ([]RecipeInfo, error) {
	var all []RecipeInfo
	for _, name := range recipe.Names() {
		r, err := recipe.Load(name)
		if err != nil {
			return nil, err
		}
		all = append(all, RecipeInfo{r.Name, r.Bits.String(), r.About})
	}
	return all, nil
}

// RecipeSource is the YAML of an embedded recipe, a start for one's own.
func RecipeSource(name string) ([]byte, error) { return recipe.Source(name) }
