package learn

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// Equivalent is what was learned for a block that leaves its function unchanged except for
// rounding: scales, transforms, and the clips of the weights' grids.
type Equivalent struct {
	// Lambda divides the channels of an input [width] and multiplies the columns of the
	// layers that read it. For o it is by value channel [kv_heads·head_dim].
	Lambda [llama.NumInputs][]float32
	// Transform is applied to an input after the division; nil: none.
	Transform [llama.NumInputs]*Kronecker
	// Lo and Hi [out × groups] are the fractions of the range of each group of weights that
	// its grid covers below and above zero; nil: all of it. Grids with one scale for both
	// ends have only Hi.
	Lo, Hi [llama.NumLinears][]float32

	First, Last float64 // mean loss of the first and last epoch, relative to the power of what the block adds
}

// Kronecker is an invertible Kronecker product P = Left ⊗ Right; the factors have orders A
// and B.
type Kronecker struct {
	A, B        int
	Left, Right []float32
}

// Rates are the options of [OmniQuant] and [FlatQuant].
type Rates struct {
	Epochs, Batch int     // passes over the windows, windows per step
	Rate          float64 // for the scales' logarithms and the parameters of the transforms
	ClipRate      float64 // for the logits of the weights' clips; 0: clips are not learned
	Seed          uint64  // for the order of the windows and the initial transforms
}

// clipLogit is the initial logit of clips: σ(4) = 0.982 of the range, as in OmniQuant.
const clipLogit = 4

// equivalent is the original block on the tape, [llama.DenseBlock], and the parameters that
// are learned.
type equivalent struct {
	b          *Block
	spec       *grad.BlockSpec
	weights    [llama.NumLinears]*grad.Var // the original weights
	bias       [llama.NumLinears]*grad.Var
	gains      [2]*grad.Var
	scale      [llama.NumInputs]*grad.Var     // ln λ; for o by value channel
	transforms [llama.NumInputs]*svdTransform // nil: none
	lo, hi     [llama.NumLinears]*grad.Var
	groups     []grad.Group
}

func newEquivalent(b *Block, window int, o Rates) *equivalent {
	e := &equivalent{b: b, spec: &grad.BlockSpec{Config: b.Config, Rope: b.Rope, Window: window}}
	h := b.Config.HiddenSize
	e.gains = [2]*grad.Var{grad.Const(1, h, b.AttnNorm), grad.Const(1, h, b.MLPNorm)}
	for in := range llama.NumInputs {
		n := in.Width(b.Config)
		if in == llama.OInput {
			n = b.Config.KVHeads * b.Config.HeadDim
		}
		e.scale[in] = e.learn(fmt.Sprintf("scales of the input of %s", in), 1, n, 0, o.Rate)
	}
	for w := range llama.NumLinears {
		l := b.Layers[w]
		e.weights[w] = grad.Const(l.Out, l.In, l.W)
		e.weights[w].Name = w.String()
		if l.Bias != nil {
			e.bias[w] = grad.Const(1, l.Out, l.Bias)
		}
		if l.Bits == quant.FullBits || o.ClipRate == 0 {
			continue
		}
		groups := quant.Grid{Group: l.Group}.Groups(l.In)
		e.hi[w] = e.learn("upper clips of "+w.String(), l.Out, groups, clipLogit, o.ClipRate)
		if l.Zero == quant.ZeroAsymmetric {
			e.lo[w] = e.learn("lower clips of "+w.String(), l.Out, groups, clipLogit, o.ClipRate)
		}
	}
	return e
}

func (e *equivalent) learn(name string, rows, cols int, start float32, rate float64) *grad.Var {
	v := grad.Filled(name, rows, cols, start)
	e.groups = append(e.groups, grad.Group{Params: []*grad.Var{v}, Rate: rate})
	return v
}

// lambda returns the scales of an input's channels; dead channels have 1.
func (e *equivalent) lambda(t *grad.Tape, in llama.Input) *grad.Var {
	s := e.scale[in]
	if live := e.b.Live[in]; live != nil {
		s = t.Mul(s, grad.Const(1, len(live), live))
	}
	return t.Exp(s)
}

// record puts the block on the tape, with the current parameters folded in and weights
// rounded.
func (e *equivalent) record(t *grad.Tape) {
	var lambda, columns [llama.NumInputs]*grad.Var
	var turned [llama.NumInputs]turnVars
	for in := range llama.NumInputs {
		lambda[in] = e.lambda(t, in)
		columns[in] = lambda[in]
		if in == llama.OInput {
			columns[in] = t.Gather(lambda[in], llama.ValueChannels(e.b.Config))
		}
		if e.transforms[in] != nil {
			turned[in] = e.transforms[in].on(t)
		}
	}
	s := e.spec
	s.Norms = [2]*grad.Var{t.Div(e.gains[0], lambda[llama.AttnInput]), t.Div(e.gains[1], lambda[llama.MLPInput])}
	for w := range llama.NumLinears {
		l, in := e.b.Layers[w], w.Input()
		weights, bias := t.Mul(e.weights[w], columns[in]), e.bias[w]
		var rows *grad.Var
		switch w {
		case llama.V:
			rows = lambda[llama.OInput]
		case llama.Up:
			rows = lambda[llama.DownInput]
		}
		if rows != nil {
			weights = t.Div(weights, t.Reshape(rows, l.Out, 1))
			if bias != nil {
				bias = t.Div(bias, rows)
			}
		}
		if e.transforms[in] != nil {
			weights = turned[in].weights(t, weights)
		}
		if l.Bits < quant.FullBits {
			weights = t.QuantizeWeights(weights, e.quantizer(t, w))
		}
		s.Weights[w], s.Bias[w] = weights, bias
	}
	var exact [llama.NumInputs]*grad.Var
	s.Input = func(in llama.Input, x *grad.Var) *grad.Var {
		if e.transforms[in] != nil {
			x = turned[in].activations(t, x)
		}
		exact[in] = x
		return t.QuantizeActivations(x, grad.ActQuant{Bits: e.b.Activations, Clip: e.b.Clip, Group: e.b.ActGroup})
	}
	s.Linear = func(w llama.Which, x *grad.Var) *grad.Var {
		if e.b.Layers[w].Bits == quant.FullBits {
			x = exact[w.Input()]
		}
		return t.Linear(x, s.Weights[w], s.Bias[w])
	}
	e.b.hookCache(t, s)
}

func (e *equivalent) quantizer(t *grad.Tape, w llama.Which) grad.WeightQuant {
	l := e.b.Layers[w]
	q := grad.WeightQuant{Bits: l.Bits, Group: l.Group, Zero: l.Zero}
	if e.hi[w] != nil {
		q.ClipHi = t.Sigmoid(e.hi[w])
	}
	if e.lo[w] != nil {
		q.ClipLo = t.Sigmoid(e.lo[w])
	}
	return q
}

// train runs the gradient descent and returns the result.
func (e *equivalent) train(ctx context.Context, p *parallel.Pool, w Windows, o Rates, schedule grad.Schedule) (*Equivalent, error) {
	t := &grad.Tape{Pool: p}
	adam := &grad.AdamW{Groups: e.groups, Schedule: schedule}
	d := descent{windows: w, options: Options{Epochs: o.Epochs, Batch: o.Batch, Seed: o.Seed}, width: e.b.Config.HiddenSize,
		loss: func(x, target []float32, rows int, learn bool) float64 {
			e.record(t)
			return finish(t, blockLoss(t, e.spec, x, target, rows), learn)
		}}
	all := make([]int, w.Count())
	for i := range all {
		all[i] = i
	}
	first, last, err := d.descend(ctx, all, adam, nil)
	if err != nil {
		return nil, err
	}
	return e.result(t, first, last), nil
}

func (e *equivalent) result(t *grad.Tape, first, last float64) *Equivalent {
	r := &Equivalent{First: first, Last: last}
	values := func(v *grad.Var) []float32 { return append([]float32(nil), v.Data...) }
	for in := range llama.NumInputs {
		r.Lambda[in] = values(e.lambda(t, in))
		if e.transforms[in] != nil {
			r.Transform[in] = e.transforms[in].result(t)
		}
	}
	for w := range llama.NumLinears {
		if e.hi[w] != nil {
			r.Hi[w] = values(t.Sigmoid(e.hi[w]))
		}
		if e.lo[w] != nil {
			r.Lo[w] = values(t.Sigmoid(e.lo[w]))
		}
	}
	t.Reset()
	return r
}

// Steps returns the scales and, for asymmetric grids, the zero points [out × groups] of a
// layer whose weights l.W have everything else folded in already.
func (r *Equivalent) Steps(p *parallel.Pool, w llama.Which, l *Layer) (scale, zero []float32, err error) {
	t := &grad.Tape{Pool: p}
	weights := grad.Const(l.Out, l.In, l.W)
	weights.Name = w.String()
	groups := quant.Grid{Group: l.Group}.Groups(l.In)
	q := grad.WeightQuant{Bits: l.Bits, Group: l.Group, Zero: l.Zero}
	if r.Hi[w] != nil {
		q.ClipHi = grad.Const(l.Out, groups, r.Hi[w])
	}
	if r.Lo[w] != nil {
		q.ClipLo = grad.Const(l.Out, groups, r.Lo[w])
	}
	_, scale, zero, err = t.EncodeWeights(weights, q)
	if l.Zero != quant.ZeroAsymmetric {
		zero = nil
	}
	return scale, zero, err
}
