package learn

import (
	"context"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// OmniQuant learns, block by block, the clips of the weights' grids and the scales of the
// input channels (Shao et al., arXiv 2308.13137), by AdamW on the squared error of the
// block's output (equation 1), with constant learning rates:
//
//   - Learnable weight clipping, equation 2: with γ, β = σ(logit) for each group, an
//     asymmetric grid covers β·min w … γ·max w; a symmetric one, if the recipe has it,
//     γ·max|w|. Logits start at 4.
//   - Learnable equivalent transformation, equation 3: x̃ = x/λ, W̃ = λ·W, with 1/λ folded
//     into the layers before, for all four inputs; λ of o is shared by the query heads of
//     a kv head. ln λ is learned, starting from the smoothed block (α = 0.5 in the paper).
//
// Not included are the shifts δ of equation 3, which need biases that LLaMA's layers don't
// have, and the scales between queries and keys, equation 5, which RoPE would force to be
// shared between channels. The scale of down's input is our addition: the authors do not
// scale it.
func OmniQuant(ctx context.Context, p *parallel.Pool, b *Block, w Windows, o Rates) (*Equivalent, error) {
	return newEquivalent(b, w.Tokens(), o).train(ctx, p, w, o, nil)
}
