package method

import "github.com/specquant/specquant/internal/recipe"

// Names of package recipe, until what uses them names that package itself.
type (
	Recipe    = recipe.Recipe
	Weights   = recipe.Weights
	Table     = recipe.Table
	LayerBits = recipe.LayerBits
	Smooth    = recipe.Smooth
	Rotate    = recipe.Rotate
	Branch    = recipe.Branch
	Solve     = recipe.Solve
	Tune      = recipe.Tune
	Alpha     = recipe.Alpha
	AlphaGrid = recipe.AlphaGrid
)

const (
	Off            = recipe.Off
	ClipAWQ        = recipe.ClipAWQ
	SmoothAWQ      = recipe.SmoothAWQ
	BasisKLT       = recipe.BasisKLT
	BasisSVD       = recipe.BasisSVD
	BasisColumns   = recipe.BasisColumns
	CorrectStream  = recipe.CorrectStream
	LearnOmniQuant = recipe.LearnOmniQuant
	LearnFlatQuant = recipe.LearnFlatQuant
	InputFull      = recipe.InputFull
	ActGroupBits   = recipe.ActGroupBits
)

var (
	Load      = recipe.Load
	Parse     = recipe.Parse
	Names     = recipe.Names
	ActGroups = recipe.ActGroups
)
