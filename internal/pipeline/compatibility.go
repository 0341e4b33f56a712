package pipeline

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/recipe"
)

// checkCompatible returns an error that names the first key of the recipe that the
// architecture does not allow. Everything else that a recipe folds into weights works for
// every architecture: scales of an input are folded into the norm before it (or, where
// there is none, into factors in its place), into v or into up, and what follows those
// is linear in each of their channels.
func checkCompatible(c *checkpoint.Config, r *recipe.Recipe) error {
	for _, use := range []struct {
		key  string
		used bool
	}{{"learn", r.Learn != nil}, {"tune", r.Tune != nil}, {"distil", r.Distil != nil}, {"rotate.learn", r.LearnsRotations()}} {
		if err := grad.Supports(c); use.used && err != nil {
			return fmt.Errorf("%s: %w; use a recipe without it, such as specquant-fast", use.key, err)
		}
	}
	if r.Solve.Correct != "" && c.Experts.Count > 0 {
		return fmt.Errorf("solve.correct: found %q, but it is not implemented for mixtures of experts such as %s, because the full-precision model may send a token to other experts; leave it out", r.Solve.Correct, c.Architecture)
	}
	if r.Rotate != nil && r.Rotate.Residual != "" && (c.PostNorm || c.NoPreNorm) {
		return fmt.Errorf("rotate.residual: the residual stream of %s can't be rotated: the gains of its norms after attention and MLP stand between their weights and the stream; use a recipe without it, such as specquant-fast", c.Architecture)
	}
	if r.Solve.Correct == recipe.CorrectStream && c.PostNorm {
		return fmt.Errorf("solve.correct: found %q, but in %s the outputs of o and down are normed before they are added to the residual stream; use %q", recipe.CorrectStream, c.Architecture, recipe.CorrectOutputs)
	}
	return nil
}
