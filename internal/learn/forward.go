package learn

import (
	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// hook adds to the spec what the runtime does at each input, in each layer and in the
// cache.
func (p *parameters) hook(t *grad.Tape) {
	b, s := p.b, p.spec
	s.Input = func(in llama.Input, x *grad.Var) *grad.Var {
		v := &b.Inputs[in]
		if v.Transform != nil {
			x = t.Transform(x, v.Transform)
		}
		p.z[in] = nil
		if basis := p.bases[in]; basis != nil {
			p.z[in] = t.MulNT(x, basis)
			if v.Remove {
				x = t.Sub(x, t.MulNN(p.z[in], basis))
			}
		}
		p.x[in] = x
		return t.QuantizeActivations(x, grad.ActQuant{Bits: b.Activations, Clip: b.Clip, Group: b.ActGroup})
	}
	s.Linear = func(w llama.Which, x *grad.Var) *grad.Var {
		l, in := b.Layers[w], w.Input()
		if l.Bits == quant.FullBits {
			return t.Linear(p.x[in], s.Weights[w], s.Bias[w])
		}
		y := t.Linear(x, t.QuantizeWeights(s.Weights[w], p.quantizer(w)), s.Bias[w])
		if p.coeffs[w] != nil {
			y = t.Add(y, t.MulNT(p.z[in], t.RoundF16(p.coeffs[w])))
		}
		return y
	}
	b.hookCache(t, s)
}

// hookCache adds what is done to queries, keys and values.
func (b *Block) hookCache(t *grad.Tape, s *grad.BlockSpec) {
	s.QK = hookQK(t, b.QK)
	if b.KV < quant.FullBits {
		f := quant.KV{Bits: b.KV, HeadDim: b.Config.HeadDim}
		s.KV = func(k, v *grad.Var) (*grad.Var, *grad.Var) { return t.QuantizeKV(k, f), t.QuantizeKV(v, f) }
	}
}

func (p *parameters) quantizer(w llama.Which) grad.WeightQuant {
	l := p.b.Layers[w]
	return grad.WeightQuant{Bits: l.Bits, Group: l.Group, Zero: l.Zero, Offset: p.offsets[w], Scale: p.scales[w], ZeroPoint: l.Zeros, Detached: true}
}

// write copies what was learned back into the block.
func (p *parameters) write(t *grad.Tape) error {
	b := p.b
	copy(b.AttnNorm, p.spec.Norms[0].Data)
	copy(b.MLPNorm, p.spec.Norms[1].Data)
	for w := range llama.NumLinears {
		l := b.Layers[w]
		if l.Bits == quant.FullBits {
			continue
		}
		levels, scale, _, err := t.EncodeWeights(p.spec.Weights[w], p.quantizer(w))
		if err != nil {
			return err
		}
		for i, q := range levels {
			l.Levels[i] = int8(int(q) - 1<<(l.Bits-1))
		}
		copy(l.Scale, scale)
		if p.coeffs[w] != nil {
			copy(l.Coeff, p.coeffs[w].Data)
		}
	}
	return nil
}

// hookQK returns what is done to queries and keys; nil for nothing.
func hookQK(t *grad.Tape, qk *llama.QK) func(q, k *grad.Var) (*grad.Var, *grad.Var) {
	if qk == nil {
		return nil
	}
	return func(q, k *grad.Var) (*grad.Var, *grad.Var) {
		if len(qk.Mean) > 0 {
			k = t.Sub(k, grad.Const(1, len(qk.Mean), qk.Mean))
		}
		if qk.Keys != nil {
			q, k = t.Transform(q, qk.Queries), t.Transform(k, qk.Keys)
		}
		return q, k
	}
}
