package recipe

import "github.com/specquant/specquant/internal/llama"

// Rotate says which rotations spread large channels over all channels (QuaRot, arXiv
// 2404.00456): "hadamard", or empty for none.
type Rotate struct {
	Residual string `yaml:"residual" json:"residual,omitempty"` // R1: the residual stream, folded into the weights
	Heads    string `yaml:"heads" json:"heads,omitempty"`       // R2: each head of the values, folded
	Cache    string `yaml:"cache" json:"cache,omitempty"`       // R3: each head of queries and keys after RoPE, at run time; or balanced, see [Recipe.CacheTransform]
	Attn     string `yaml:"attn" json:"attn,omitempty"`         // the input of q, k and v, at run time
	O        string `yaml:"o" json:"o,omitempty"`               // the input of o, at run time; "heads": only across heads
	MLP      string `yaml:"mlp" json:"mlp,omitempty"`           // the input of gate and up, at run time
	Down     string `yaml:"down" json:"down,omitempty"`         // R4: the input of down, at run time
	Seed     uint64 `yaml:"seed" json:"seed"`                   // of the random signs

	// Learn, if not nil, learns R1 and R2 from there.
	Learn *LearnRotation `yaml:"learn" json:"learn,omitempty"`
}

// Input is what is done at run time to one of the four inputs of a block.
func (r *Rotate) Input(in llama.Input) string {
	if r == nil {
		return ""
	}
	return [llama.NumInputs]string{r.Attn, r.O, r.MLP, r.Down}[in]
}

const (
	hadamard = "hadamard"
	balanced = "balanced"
)

// balancedBits is the most bits of a cache whose keys are worth balancing.
const balancedBits = 8

// CacheTransform is what is done at run time to queries and keys after RoPE:
// "hadamard", of each head, "balanced", or "" for nothing. Balanced keys are less
// their mean, which softmax does not notice, and share the spread of keys and
// queries evenly, in every direction: see package stage. A cache of 16 bits has no
// need of it, and nothing is done. One of 8 has: where keys have large biases, as
// Qwen2.5's do, rounding them as they are was most of the model's whole loss.
func (r *Recipe) CacheTransform() string {
	if r.Rotate == nil || r.Rotate.Cache == balanced && r.Bits.KV > balancedBits {
		return ""
	}
	return r.Rotate.Cache
}
