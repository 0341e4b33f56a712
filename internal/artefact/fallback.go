package artefact

import (
	"fmt"
	"strings"
)

// Fallback is a place where a job did something else than its recipe says,
// because the model or the text left it no choice. Jobs list them; a strict job
// makes each an error.
type Fallback struct {
	Kind  string `json:"kind"`  // one of the kinds below
	Where string `json:"where"` // a layer, an input of all blocks, or a key of the recipe
	Cause string `json:"cause"`
}

// The kinds of fallbacks.
const (
	FallbackDamping     = "damping"       // the Hessian took more damping than the recipe's
	FallbackDead        = "dead channels" // inputs that no calibration token touched: rounded to nearest
	FallbackRotation    = "rotation"      // no Hadamard matrix of that width is known: part of it is a cosine transform
	FallbackBranch      = "branch"        // the budget left an input without one
	FallbackGroup       = "group"         // wider than the layer: one scale a row
	FallbackCorrect     = "correction"    // toward the full-precision model: larger than the weights, so left out
	FallbackCalibration = "calibration"   // the text has fewer or shorter windows than asked for
)

// FallbackKinds lists them, in the order in which jobs meet them.
var FallbackKinds = []string{FallbackCalibration, FallbackRotation, FallbackGroup, FallbackBranch, FallbackDead, FallbackDamping, FallbackCorrect}

// String is one line.
func (f Fallback) String() string { return fmt.Sprintf("%s, %s: %s", f.Kind, f.Where, f.Cause) }

// fallbackPlaces is how many places a line names.
const fallbackPlaces = 3

// FallbackLines tells of fallbacks in a few lines: those of one kind and cause
// share one, which names the first places and counts the others.
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

// Rotation says how a transform of the recipe was constructed at the model's
// width: Hadamard matrices are not known at all of them.
type Rotation struct {
	Where string `json:"where"` // the recipe's key, "rotate.down"
	Width int    `json:"width"`
	Name  string `json:"name"` // as in "cosine 107 × Sylvester 128"
}
