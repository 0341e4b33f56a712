// Package layerbench quantizes one wide layer that no model has, by any recipe, and
// measures error, bits, time and memory: for shapes of models that do not fit here.
package layerbench

import "github.com/specquant/specquant/internal/meter"

// Stage is what a part of the work on a layer took.
type Stage = meter.Part
