package recipe

import "github.com/specquant/specquant/internal/llama"

// Rotate says which rotations spread large channels over all channels (QuaRot, arXiv
// 2404.00456): "hadamard", or empty for none.
type Rotate struct {
	Residual string `yaml:"residual" json:"residual,omitempty"` // R1: the residual stream, folded into the weights
	Heads    string `yaml:"heads" json:"heads,omitempty"`       // R2: each head of the values, folded
	Cache    string `yaml:"cache" json:"cache,omitempty"`       // R3: each head of queries and keys after RoPE, at run time; "balanced": see [Recipe.CacheTransform]
	Attn     string `yaml:"attn" json:"attn,omitempty"`         // the input of q, k and v, at run time
	O        string `yaml:"o" json:"o,omitempty"`               // the input of o, at run time; "heads": only across heads
	MLP      string `yaml:"mlp" json:"mlp,omitempty"`           // the input of gate and up, at run time
	Down     string `yaml:"down" json:"down,omitempty"`         // R4: the input of down, at run time
	Seed     uint64 `yaml:"seed" json:"seed"`                   // of the random signs

	// Learn, if not nil, learns R1 and R2, starting from those above.
	Learn *LearnRotation `yaml:"learn" json:"learn,omitempty"`
}

// Input is the run-time transform of one of a block's four inputs.
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

// balancedBits is the largest number of bits of the cache for which keys are balanced.
const balancedBits = 8

// CacheTransform is the run-time transform of queries and keys after RoPE: "hadamard", for
// each head, "balanced", or "" for none. Balanced keys have their mean subtracted, which
// does not change the softmax, and are scaled against the queries in every direction: see
// package stage. A 16-bit cache does not need it. An 8-bit cache does: in models whose keys
// have large biases, such as Qwen2.5, rounding the keys unbalanced caused most of the
// model's loss.
func (r *Recipe) CacheTransform() string {
	if r.Rotate == nil || r.Rotate.Cache == balanced && r.Bits.KV > balancedBits {
		return ""
	}
	return r.Rotate.Cache
}
