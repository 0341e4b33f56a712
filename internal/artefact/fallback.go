package artefact

import (
	"fmt"
	"strings"
)

// Fallback is a deviation of a job from its recipe that the model or the text made
// necessary. Jobs list them; with --strict each is an error.
type Fallback struct {
	Kind  string `json:"kind"`  // one of the kinds below
	Where string `json:"where"` // a layer, an input of all blocks, or a key of the recipe
	Cause string `json:"cause"`
}

// The kinds of fallbacks.
const (
	FallbackDamping     = "damping"       // the Hessian needed more damping than the recipe's
	FallbackDead        = "dead channels" // inputs that are zero for all calibration tokens: their weights are rounded to nearest
	FallbackRotation    = "rotation"      // no Hadamard matrix is known for the width: part of the transform is a cosine transform
	FallbackBranch      = "branch"        // the budget leaves an input without a branch
	FallbackGroup       = "group"         // wider than the layer: one scale for each row
	FallbackExperts     = "experts"       // reached by too few calibration tokens: calibrated on others too
	FallbackCorrect     = "correction"    // the fit to the full-precision model would exceed the weights themselves: left out
	FallbackCalibration = "calibration"   // the text has fewer or shorter windows than asked for
)

// FallbackKinds lists them in the order in which they can occur.
var FallbackKinds = []string{FallbackCalibration, FallbackRotation, FallbackGroup, FallbackBranch, FallbackExperts, FallbackDead, FallbackDamping, FallbackCorrect}

// String describes the fallback in one line.
func (f Fallback) String() string { return fmt.Sprintf("%s, %s: %s", f.Kind, f.Where, f.Cause) }

// fallbackPlaces is the number of places that one line names.
const fallbackPlaces = 3

// FallbackLines summarizes fallbacks: those with the same kind and cause share a line,
// which names the first places and counts the rest.
func FallbackLines(all []Fallback) []string {
	type line struct{ kind, cause string }
	var order []line
	where := map[line][]string{}
	for _, f := range all {
		l := line{f.Kind, f.Cause}
		if where[l] == nil {
			order = append(order, l)
		}
		where[l] = append(where[l], f.Where)
	}
	var out []string
	for _, l := range order {
		places, more := where[l], ""
		if n := len(places) - fallbackPlaces; n > 0 {
			places, more = places[:fallbackPlaces], fmt.Sprintf(" and %d more", n)
		}
		out = append(out, fmt.Sprintf("%s, %s%s: %s", l.kind, strings.Join(places, ", "), more, l.cause))
	}
	return out
}

// Rotation tells how a transform of the recipe was constructed at the model's width, since
// Hadamard matrices are not known for all widths.
type Rotation struct {
	Where string `json:"where"` // the recipe's key, "rotate.down"
	Width int    `json:"width"`
	Name  string `json:"name"` // as in "cosine 107 × Sylvester 128"
}
