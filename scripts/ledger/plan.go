package main

import (
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/compare"
)

// model is a trained model of the data folder, or its copy with planted outliers.
type model struct {
	Name     string // of its folder under data/models, with "planted-" before it for a copy
	Text     string // key of texts
	Windows  int    // evaluated
	Settings []string
}

const plantedPrefix = "planted-"

func (m model) planted() bool { return strings.HasPrefix(m.Name, plantedPrefix) }

// title is the model as the tables name it.
func (m model) title() string {
	if base, planted := strings.CutPrefix(m.Name, plantedPrefix); planted {
		return "planted `" + base + "`"
	}
	return "`" + m.Name + "`"
}

var (
	settings = []string{"4-4-4", "4-8-8", "2-8-8"}
	planted  = []string{"4-4-4"}
)

// ownSize is the setting whose table also has the default at the size that it fills
// when no bits are given.
const ownSize = "4-8-8"

var models = []model{
	{"tinystories-656k", "tinystories", 20, settings},
	{"stories260k", "tinystories", 20, settings},
	{"books-1m", "books", 20, settings},
	{"books-5m", "books", 10, settings},
	{"planted-tinystories-656k", "tinystories", 20, planted},
	{"planted-stories260k", "tinystories", 20, planted},
	{"planted-books-1m", "books", 20, planted},
	{"planted-books-5m", "books", 10, planted},
}

// text is cut into what is measured on, its beginning, and what is calibrated
// on, its end; in bytes.
type text struct {
	File        string // under data/text
	Evaluation  int
	Calibration int
}

var texts = map[string]text{
	"tinystories": {"tinystories.txt", 250_000, 500_000},
	"books":       {"books-valid.txt", 150_000, 400_000},
}

// kind says with what a recipe is compared.
type kind int

const (
	free        kind = iota // a baseline without gradients
	otherFormat             // another, which the best baseline leaves out: its bits or grids are not the others'
	learned                 // a baseline with gradients
	ours                    // the paper's method and what we made of it
)

// rowRecipe is a row of the tables.
type rowRecipe struct {
	Name    string // embedded in the program or under recipes/; as -recipes names it
	Label   string // in the tables; "": the name
	Kind    kind
	Base    string // the recipe that this is a variant of; "": none
	Changes []change
	Only    []string // settings at which the variant is another; none: all
}

func (r rowRecipe) label() string {
	if r.Label != "" {
		return r.Label
	}
	return r.Name
}

// at reports whether a variant does anything at a setting.
func (r rowRecipe) at(bits string) bool { return in(r.Only, bits) }

// family is the name that -recipes and -anew go by.
func (r rowRecipe) family() string {
	if r.Base != "" {
		return r.Base
	}
	return r.Name
}

const (
	paper     = "specquant"
	fast      = defaultRecipe
	klt       = "specquant-klt"
	fitted    = "specquant-klt-fitted"
	best      = "specquant-best"
	ourGrids  = "quarot-activations-in-16s"
	plainOnes = "rtn"
)

// recipes has every recipe in the order of the rows.
var recipes = []rowRecipe{
	{Name: plainOnes, Kind: free},
	{Name: "smoothquant", Kind: free},
	{Name: "gptq", Kind: free},
	{Name: "awq", Kind: free},
	{Name: "quarot", Kind: free},
	{Name: "svdquant", Kind: free},
	{Name: "resq", Kind: otherFormat},
	{Name: ourGrids, Label: "quarot, activations in 16s", Kind: otherFormat},
	{Name: "quarot-activations-in-16s-weights-in-32s", Label: "quarot, activations in 16s, weights in 32s", Kind: otherFormat},
	{Name: "omniquant", Kind: learned},
	{Name: "flatquant", Kind: learned},
	{Name: "spinquant", Kind: learned},
	{Name: paper, Kind: ours},
	{Name: klt, Kind: ours},
	{Name: fitted, Label: "specquant-klt, fitted", Kind: ours, Base: klt, Changes: []change{{"solve.correct", "stream"}}},
	{Name: fast, Kind: ours},
	{Name: best, Kind: ours},
}

// atOwnSize is the default where no bits are given: it fills the size of llama.cpp's Q4_0.
var atOwnSize = rowRecipe{Name: fast, Label: fast + " at its own size", Kind: ours}

// leftOut are the embedded recipes without a row: specquant-input is the paper's
// other reading, which has a table of its own.
var leftOut = []string{"specquant-input"}

// slow are the recipes that take minutes a cell, on these models and settings alone.
var (
	slow         = []string{"omniquant", "flatquant", "spinquant", best}
	slowModels   = []string{"tinystories-656k", "stories260k", "books-1m"}
	slowSettings = []string{"4-4-4"}
)

// allowed reports whether a cell of the tables is to be had at all.
func allowed(recipe, model, bits string) bool {
	return !slices.Contains(slow, recipe) || slices.Contains(slowModels, model) && slices.Contains(slowSettings, bits)
}

// sized reports whether a setting is not bits but a size, that of llama.cpp's Q4_0 or another.
func sized(setting string) bool { return strings.Count(setting, "-") != 2 }

// cell is a recipe on a model at a setting, which may be one that is sized. Recipe ""
// stands for full precision, whose cell has no bits.
type cell struct{ Model, Bits, Recipe string }

// job is a cell to be had, of one of the tables.
type job struct {
	cell
	Table  string // tables or parts
	recipe rowRecipe
}

// plan lists every cell, what is quick before what is slow. A cell that two
// tables want is listed for the first.
func plan(parts []rowRecipe) []job {
	var jobs []job
	seen := map[cell]bool{}
	add := func(table, model, bits string, r rowRecipe) {
		c := cell{model, bits, r.Name}
		if !seen[c] {
			seen[c] = true
			jobs = append(jobs, job{c, table, r})
		}
	}
	for _, m := range models {
		for _, bits := range m.Settings {
			for _, r := range recipes {
				if allowed(r.Name, m.Name, bits) {
					add("tables", m.Name, bits, r)
				}
			}
			if bits == ownSize {
				add("tables", m.Name, compare.DefaultBits, atOwnSize)
				if size := novemberSizes[m.Name]; size != "" {
					add("tables", m.Name, size, atOwnSize)
				}
			}
		}
	}
	for _, p := range partColumns {
		for _, r := range parts {
			if r.at(p.Bits) {
				add("parts", p.Model, p.Bits, r)
			}
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int {
		rank := func(j job) int {
			if slices.Contains(slow, j.Recipe) {
				return 1
			}
			return 0
		}
		return rank(a) - rank(b)
	})
	return jobs
}
