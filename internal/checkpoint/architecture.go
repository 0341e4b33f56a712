package checkpoint

import "math"

// Parts describes how the blocks of an architecture differ from LLaMA's; the zero value is
// LLaMA. One forward pass runs them all; a family of models is a choice of parts (see
// families, and docs/ARCHITECTURES.md).
type Parts struct {
	Activation Activation // of the gate

	NoPreNorm  bool    // attention and MLP read the residual stream without a norm
	PostNorm   bool    // the outputs of attention and MLP are normalized before they are added to the stream
	NormOffset float64 // added to every stored norm weight: 1 if the gain is 1+w
	QKNorm     QKNorm  // of queries and keys, before rotary embedding

	QKVBias bool // on q, k and v
	OBias   bool // on o
	MLPBias bool // on gate, up and down
	Fused   bool // stored as qkv_proj (q, k, v) and gate_up_proj (gate, up), with concatenated rows

	Experts Experts // of the MLP; the zero value: none

	RotaryDim  int     // number of channels of each head with rotary embedding, even; 0: all
	LocalTheta float64 // rotary base of blocks with a window, without scaling; 0: the same as in the others
	NoRope     []bool  // blocks without rotary embedding; nil: none
	Full       []bool  // blocks without the window; nil: none

	AttnScale     float64 // factor of the products of queries and keys; 0: 1/√head_dim
	AttnSoftCap   float64 // c in c·tanh(s/c), applied to the scaled products s; 0: none
	LogitSoftCap  float64 // the same for the logits; 0: none
	EmbedScale    float64 // factor of the embeddings; 0: 1
	ResidualScale float64 // factor of what attention and MLP add to the stream; 0: 1
	LogitScale    float64 // factor of the logits, before their soft cap; 0: 1
}

// Activation is the function of the MLP's gate.
type Activation string

// The activations.
const (
	SiLU     Activation = ""     // g/(1+exp(−g))
	GELUTanh Activation = "gelu" // ½·g·(1+tanh(√(2/π)·(g+0.044715·g³)))
)

// QKNorm is how queries and keys are normalized.
type QKNorm string

// The norms of queries and keys.
const (
	QKNone  QKNorm = ""
	QKHead  QKNorm = "head"  // each head by itself, one gain for all heads
	QKWhole QKNorm = "whole" // all heads of a token together
)

// Window is how many tokens block i attends to, the current one included; 0: all.
func (c *Config) Window(i int) int {
	if c.Full != nil && c.Full[i] {
		return 0
	}
	return c.SlidingWindow
}

// Rotary is the number of channels of a head that rotary embedding rotates.
func (c *Config) Rotary() int {
	if c.RotaryDim > 0 {
		return c.RotaryDim
	}
	return c.HeadDim
}

// Turned reports whether block i applies rotary embedding to its queries and keys.
func (c *Config) Turned(i int) bool { return c.NoRope == nil || !c.NoRope[i] }

// Local reports whether block i uses the local rotary base.
func (c *Config) Local(i int) bool { return c.LocalTheta > 0 && c.Window(i) > 0 }

// AttentionScale is the factor of the products of queries and keys.
func (c *Config) AttentionScale() float32 {
	if c.AttnScale > 0 {
		return float32(c.AttnScale)
	}
	return float32(1 / math.Sqrt(float64(c.HeadDim)))
}

// scaleOr1 returns a multiplier whose zero value means 1.
func scaleOr1(v float64) float32 {
	if v == 0 {
		return 1
	}
	return float32(v)
}

// EmbeddingScale is the factor of the embeddings.
func (c *Config) EmbeddingScale() float32 { return scaleOr1(c.EmbedScale) }

// AddedScale is the factor of what attention and MLP add to the residual stream.
func (c *Config) AddedScale() float32 { return scaleOr1(c.ResidualScale) }

// OutputScale is the factor of the logits.
func (c *Config) OutputScale() float32 { return scaleOr1(c.LogitScale) }

// Norm is one of a block's norms, by its place.
type Norm int

// The norms of a block in the order of the forward pass.
const (
	AttnNorm Norm = iota // before attention
	QNorm                // of the queries
	KNorm                // of the keys
	AttnPost             // of attention's output
	MLPNorm              // before the MLP
	MLPPost              // of the MLP's output
	NumNorms
)

// HasNorm reports whether the architecture has the norm.
func (c *Config) HasNorm(n Norm) bool {
	switch n {
	case QNorm, KNorm:
		return c.QKNorm != QKNone
	case AttnPost, MLPPost:
		return c.PostNorm
	}
	return !c.NoPreNorm
}

// NormName is the norm's name within its block. Norms that an architecture with NoPreNorm
// lacks have a name too: a quantized model stores there, as gains without a norm, what was
// folded into its inputs.
func (c *Config) NormName(n Norm) string {
	switch n {
	case AttnNorm:
		return "input_layernorm"
	case QNorm:
		return "self_attn.q_norm"
	case KNorm:
		return "self_attn.k_norm"
	case AttnPost:
		return "post_attention_layernorm"
	case MLPPost:
		return "post_feedforward_layernorm"
	}
	if c.PostNorm { // which has taken the name
		return "pre_feedforward_layernorm"
	}
	return "post_attention_layernorm"
}

// NormWidth is the number of the norm's weights.
func (c *Config) NormWidth(n Norm) int {
	switch {
	case n != QNorm && n != KNorm:
		return c.HiddenSize
	case c.QKNorm == QKHead:
		return c.HeadDim
	case n == QNorm:
		return c.Heads * c.HeadDim
	}
	return c.KVHeads * c.HeadDim
}
