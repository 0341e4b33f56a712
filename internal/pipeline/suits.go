package pipeline

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/recipe"
)

// suits refuses, by name, what a recipe does that an architecture does not allow.
// All else that a recipe folds into weights fits every architecture: what is
// folded into an input goes into the norm before it (or, where there is none, into
// factors in its place), into v or into up, none of which is followed by anything
// that is not linear in its channels.
func suits(c *checkpoint.Config, r *recipe.Recipe) error {
	for _, use := range []struct {
		key  string
		used bool
	}{{"learn", r.Learn != nil}, {"tune", r.Tune != nil}, {"distil", r.Distil != nil}, {"rotate.learn", r.Spins()}} {
		if err := grad.Supports(c); use.used && err != nil {
			return fmt.Errorf("%s: %w; use a recipe without it, such as specquant-fast", use.key, err)
		}
	}
	if r.Solve.Correct != "" && c.Experts.Count > 0 {
		return fmt.Errorf("solve.correct: found %q, but it is not implemented for experts, which %s has: the full-precision model may send a token to others; leave it out", r.Solve.Correct, c.Architecture)
	}
	if r.Rotate != nil && r.Rotate.Residual != "" && (c.PostNorm || c.NoPreNorm) {
		return fmt.Errorf("rotate.residual: the residual stream of %s can't be rotated: the gains of its norms after attention and MLP stand between their weights and the stream; use a recipe without it, such as specquant-fast", c.Architecture)
	}
	if r.Solve.Correct == recipe.CorrectStream && c.PostNorm {
		return fmt.Errorf("solve.correct: found %q, but what o and down give is normed before it is added to the stream in %s; use %q", recipe.CorrectStream, c.Architecture, recipe.CorrectOutputs)
	}
	return nil
}
