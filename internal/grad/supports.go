package grad

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
)

// Supports returns nil if [Tape.Block] implements all parts of the architecture, otherwise
// an error that names the missing one. LLaMA's parts, with biases and any rotary scaling,
// are implemented.
func Supports(c *checkpoint.Config) error {
	lacks := ""
	switch {
	case c.Activation != checkpoint.SiLU:
		lacks = "the activation " + string(c.Activation)
	case c.Experts.Count > 0:
		lacks = "experts"
	case c.NoPreNorm, c.PostNorm:
		lacks = "norms after attention and MLP"
	case c.QKNorm != checkpoint.QKNone:
		lacks = "norms of queries and keys"
	case c.RotaryDim > 0 || c.LocalTheta > 0 || c.NoRope != nil:
		lacks = "rotary embedding that differs by channel or block"
	case c.Full != nil:
		lacks = "a window that differs by block"
	case c.AttnSoftCap > 0 || c.LogitSoftCap > 0:
		lacks = "soft caps"
	case c.AttnScale != 0 || c.EmbedScale != 0 || c.ResidualScale != 0 || c.LogitScale != 0:
		lacks = "multipliers"
	}
	if lacks != "" {
		return fmt.Errorf("learning by gradients is not implemented for %s (%s)", c.Architecture, lacks)
	}
	return nil
}
