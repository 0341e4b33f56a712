package grad

import (
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
)

// BlockSpec is a transformer block on the tape: its weights, and hooks where a quantization
// method can intervene. A nil hook changes nothing.
type BlockSpec struct {
	Config *checkpoint.Config
	Rope   *llama.Rope
	Window int // tokens in a sequence; rows are whole sequences, one after another

	Norms   [2]*Var                // gains [1 × hidden]: before attention, before the MLP
	Weights [llama.NumLinears]*Var // [out × in], by llama.Which
	Bias    [llama.NumLinears]*Var // [1 × out], or nil

	// Input replaces the input of linear layers, once for all layers that share it.
	Input func(in llama.Input, x *Var) *Var
	// Linear replaces a layer, such as one with a branch; x is its input after the Input
	// hook.
	Linear func(w llama.Which, x *Var) *Var
	// QK replaces queries [tokens × heads·head_dim] and keys [tokens × kv_heads·head_dim]
	// after RoPE.
	QK func(q, k *Var) (*Var, *Var)
	// KV replaces keys, after QK, and values as the cache does.
	KV func(k, v *Var) (*Var, *Var)
}

// Spec returns a spec of the block with constant weights, which a method then replaces by
// what it learns. The memory is shared with d.
func Spec(c *checkpoint.Config, rope *llama.Rope, d *llama.DenseBlock, window int) *BlockSpec {
	s := &BlockSpec{Config: c, Rope: rope, Window: window}
	s.Norms[0] = Const(1, len(d.AttnNorm), d.AttnNorm)
	s.Norms[1] = Const(1, len(d.MLPNorm), d.MLPNorm)
	for w := range llama.NumLinears {
		l := &d.Linears[w]
		s.Weights[w] = Const(l.Out, l.In, l.W)
		if l.Bias != nil {
			s.Bias[w] = Const(1, l.Out, l.Bias)
		}
	}
	return s
}

// Block runs x [sequences·window × hidden] through the block, in the order of
// llama.Runner.Block, and returns the residual stream after it.
func (t *Tape) Block(x *Var, s *BlockSpec) *Var {
	c := s.Config
	in := s.input(llama.AttnInput, t.RMSNorm(x, s.Norms[0], c.NormEps))
	q := t.Rope(t.layer(s, llama.Q, in), s.Rope, s.Window)
	k := t.Rope(t.layer(s, llama.K, in), s.Rope, s.Window)
	v := t.layer(s, llama.V, in)
	if s.QK != nil {
		q, k = s.QK(q, k)
	}
	if s.KV != nil {
		k, v = s.KV(k, v)
	}
	attn := t.Attention(q, k, v, Attend{Heads: c.Heads, KVHeads: c.KVHeads, Window: s.Window, Sliding: c.SlidingWindow})
	x = t.Add(x, t.layer(s, llama.O, s.input(llama.OInput, attn)))

	in = s.input(llama.MLPInput, t.RMSNorm(x, s.Norms[1], c.NormEps))
	h := t.SwiGLU(t.layer(s, llama.Gate, in), t.layer(s, llama.Up, in))
	return t.Add(x, t.layer(s, llama.Down, s.input(llama.DownInput, h)))
}

func (s *BlockSpec) input(in llama.Input, x *Var) *Var {
	if s.Input == nil {
		return x
	}
	return s.Input(in, x)
}

func (t *Tape) layer(s *BlockSpec, w llama.Which, x *Var) *Var {
	if s.Linear != nil {
		return s.Linear(w, x)
	}
	return t.Linear(x, s.Weights[w], s.Bias[w])
}
