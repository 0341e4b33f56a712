package learn

import (
	"context"

	"github.com/specquant/specquant/internal/kernel"
)

// OmniQuant learns, block by block, where the weights' grids end and how the
// channels of the inputs are scaled (Shao et al., arXiv 2308.13137), by AdamW on
// the squared error behind the block (equation 1), rates constant:
//
//   - learnable weight clipping, equation 2: with γ, β = σ(logit) of each group,
//     an asymmetric grid covers β·min w … γ·max w; a symmetric one, where the
//     recipe has that, γ·max|w|. Logits start at 4.
//   - learnable equivalent transformation, equation 3: x̃ = x/λ, W̃ = λ·W, folded
//     into what precedes, for all four inputs; λ of o is shared by the query heads
//     of a kv head. What is learned is ln λ, from where smoothing has left the
//     block (α = 0.5 in the paper).
//
// Left out are the shifts δ of equation 3, which need biases that LLaMA's layers
// don't have, and the scales between queries and keys, equation 5, for which RoPE
// would have to share them between channels. The scale of down's input is ours:
// the authors leave down alone.
func OmniQuant(ctx context.Context, p *kernel.Pool, b *Block, w Windows, o Rates) (*Equivalent, error) {
	return newEquivalent(b, w.Tokens(), o).train(ctx, p, w, o, nil)
}
