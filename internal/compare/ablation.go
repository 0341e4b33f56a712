package compare

import (
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
)

// Ablations lists what [Options.Ablation] may be:
//
//	components  the stages one by one: the paper's table 3
//	groups      components kept per channel: table 4
//	importance  what makes a channel important: table 5
//	axis        output channels, input channels, no branch: ours
func Ablations() []string { return []string{"components", "groups", "importance", "axis"} }

// groupCounts are the components per channel of ablation "groups", as far as
// they fit the narrowest layer.
var groupCounts = []int{0, 1, 2, 4, 8, 16, 32, 64}

// variants returns the recipes of an ablation of base on a model of the given
// shape, each named after the base and what it changes.
func variants(base *recipe.Recipe, ablation string, c *checkpoint.Config) ([]*recipe.Recipe, error) {
	if !slices.Contains(Ablations(), ablation) {
		return nil, fmt.Errorf("unknown ablation %q, expected one of %s", ablation, strings.Join(Ablations(), ", "))
	}
	if base.Branch == nil || base.Branch.Stored() || ablation == "components" && base.Smooth == nil {
		return nil, fmt.Errorf("recipe %s: ablation %s needs a base recipe with smoothing and a Fourier branch, such as %s", base.Name, ablation, recipe.Paper)
	}
	var out []*recipe.Recipe
	add := func(what string, change func(*recipe.Recipe)) {
		r := *base
		r.Name = base.Name + " " + what
		if r.Smooth != nil {
			smooth := *r.Smooth
			r.Smooth = &smooth
		}
		branch := *r.Branch
		r.Branch = &branch
		change(&r)
		out = append(out, &r)
	}
	switch ablation {
	case "components":
		add("quantization only", func(r *recipe.Recipe) { r.Smooth, r.Branch = nil, nil })
		add("+ smoothing", func(r *recipe.Recipe) { r.Branch = nil })
		add("+ branch", func(r *recipe.Recipe) { r.Smooth = nil })
		add("+ smoothing + branch", func(*recipe.Recipe) {})
	case "groups":
		most := narrowest(c)
		if base.Branch.Basis == "dft" {
			most = most/2 + 1
		}
		for _, k := range groupCounts {
			if k > most {
				break
			}
			add(fmt.Sprintf("components %d", k), func(r *recipe.Recipe) {
				r.Branch.Components, r.Branch.Overhead = float64(k), 0 // no limit, because the overhead is what this ablation measures
				if k == 0 {
					r.Branch = nil
				}
			})
		}
	case "importance":
		add("importance uniform", func(r *recipe.Recipe) { r.Branch.Temperature, r.Branch.Literal = 0, false })
		for _, kind := range spectrum.Importances() {
			add("importance "+string(kind), func(r *recipe.Recipe) {
				r.Branch.Importance = kind
				if r.Branch.Temperature == 0 {
					r.Branch.Temperature = 1
				}
			})
		}
	case "axis":
		for _, axis := range []spectrum.Axis{spectrum.OutputChannel, spectrum.InputChannel} {
			add("axis "+axis.String(), func(r *recipe.Recipe) {
				r.Branch.Axis = axis.String()
				if axis == spectrum.InputChannel {
					r.Branch.Truncate = 0
				}
			})
		}
		add("no branch", func(r *recipe.Recipe) { r.Branch = nil })
	}
	return out, nil
}

// narrowest is the smallest dimension of any linear layer, which is the length of a channel on
// one axis.
func narrowest(c *checkpoint.Config) int {
	least := c.HiddenSize
	for l := range llama.NumLinears {
		out, in := l.Shape(c)
		least = min(least, out, in)
	}
	return least
}
