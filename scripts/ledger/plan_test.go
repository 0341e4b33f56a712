package main

import (
	"slices"
	"testing"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/compare"
)

// TestEveryRecipe: an embedded recipe has a row, or is left out on purpose.
func TestEveryRecipe(t *testing.T) {
	all, err := specquant.Recipes()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		has := slices.ContainsFunc(recipes, func(x rowRecipe) bool { return x.Name == r.Name })
		if out := slices.Contains(leftOut, r.Name); has == out {
			t.Errorf("%s: has a row: %v, is left out: %v, expected one of both", r.Name, has, out)
		}
	}
	for _, r := range recipes {
		data, err := source(r.family())
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
		} else if _, err := content(data); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
}

func TestPlan(t *testing.T) {
	variants, _, err := partRecipes()
	if err != nil {
		t.Fatal(err)
	}
	jobs := plan(variants)
	has := func(model, bits, recipe string) bool {
		return slices.ContainsFunc(jobs, func(j job) bool { return j.cell == cell{model, bits, recipe} })
	}
	for _, c := range []struct {
		cell
		want bool
	}{
		{cell{"tinystories-656k", "4-4-4", "omniquant"}, true},
		{cell{"tinystories-656k", "2-8-8", "omniquant"}, false},
		{cell{"books-1m", "4-4-4", best}, true},
		{cell{"books-1m", "4-8-8", best}, false},
		{cell{"books-5m", "4-4-4", best}, false},
		{cell{"planted-books-1m", "4-4-4", "flatquant"}, false},
		{cell{"planted-books-5m", "4-4-4", fast}, true},
		{cell{"planted-books-1m", "2-8-8", "rtn"}, false},
		{cell{"books-5m", "2-8-8", klt}, true},
		{cell{"books-5m", "2-8-8", fitted}, true},
		{cell{"books-5m", compare.DefaultBits, fast}, true},
		{cell{"books-5m", compare.DefaultBits, klt}, false},
		{cell{"books-5m", novemberSizes["books-5m"], fast}, true},
		{cell{"planted-books-5m", compare.DefaultBits, fast}, false},
		{cell{"books-1m", "4-4-4", "specquant-fast-activations-per-token"}, true},
		{cell{"books-1m", "4-8-8", "specquant-fast-activations-per-token"}, false},
		{cell{"books-1m", "2-8-8", "specquant-fast-without-rotations"}, true},
		{cell{"books-5m", "4-4-4", "specquant-fast-without-rotations"}, false},
	} {
		if got := has(c.Model, c.Bits, c.Recipe); got != c.want {
			t.Errorf("%v: planned %v, want %v", c.cell, got, c.want)
		}
	}
	quick := true
	for _, j := range jobs {
		isSlow := slices.Contains(slow, j.Recipe)
		if !quick && !isSlow {
			t.Fatalf("%v comes after slow cells", j.cell)
		}
		quick = !isSlow
	}
	seen := map[cell]bool{}
	for _, j := range jobs {
		if seen[j.cell] {
			t.Errorf("%v is planned twice", j.cell)
		}
		seen[j.cell] = true
	}
}

func TestSelected(t *testing.T) {
	variants, _, err := partRecipes()
	if err != nil {
		t.Fatal(err)
	}
	jobs := plan(variants)
	inParts := 0
	for _, p := range partColumns {
		for _, v := range variants {
			if v.at(p.Bits) {
				inParts++
			}
		}
	}
	for name, c := range map[string]struct {
		f    flags
		want int
	}{
		"all":          {flags{}, len(jobs)},
		"one cell":     {flags{models: []string{"books-1m"}, bits: []string{"4-8-8"}, recipes: []string{"awq"}}, 1},
		"its own size": {flags{models: []string{"books-1m"}, bits: []string{compare.DefaultBits}}, 1},
		"without":      {flags{models: []string{"books-1m"}, bits: []string{"4-8-8"}, recipes: []string{fast}, tables: []string{"tables"}}, 1},
		"with":         {flags{models: []string{"books-1m"}, bits: []string{"4-8-8"}, recipes: []string{fast}}, len(variants)}, // all but one, and itself
		"all variants": {flags{tables: []string{"parts"}}, inParts},
	} {
		if got := c.f.selected(jobs); len(got) != c.want {
			t.Errorf("%s: %d jobs, want %d", name, len(got), c.want)
		}
	}
	for _, f := range []flags{{models: []string{"books"}}, {bits: []string{"4-4-8"}}, {recipes: []string{"rtn "}}, {anew: []string{"x"}}, {tables: []string{""}}} {
		if f.valid() == nil {
			t.Errorf("%+v is taken", f)
		}
	}
	for _, r := range realSettings {
		if err := (flags{bits: []string{r.Bits}, recipes: r.Recipes}).valid(); err != nil {
			t.Errorf("a setting of real models: %v", err)
		}
	}
}
