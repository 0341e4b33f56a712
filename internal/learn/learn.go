// Package learn trains parts of a quantized block by gradient descent through the rounding
// (with the straight-through estimator) to reproduce the full-precision block, as
// OmniQuant, AutoRound, BRECQ and FlatQuant do. The forward pass computes what the runtime
// computes, so that what is trained is what will run.
//
// learn.go tunes any quantized block and model.go a whole model; omniquant.go, flatquant.go
// and spinquant.go are the methods of these names; memory.go bounds what each of them
// holds.
package learn

import (
	"context"
	"math"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// Layer is one linear layer of a quantized block.
type Layer struct {
	Out, In int
	Bits    int // 16: the layer is not quantized
	Group   int
	Zero    quant.ZeroKind

	W      []float32 // [out × in] the (residual) weights before rounding; at 16 bits: the weights
	Levels []int8    // [out × in] the rounded weights; 0 is 2^(bits−1)
	Scale  []float32 // [out × groups]
	Zeros  []float32 // [out × groups] of asymmetric grids, else nil
	Coeff  []float32 // [out × count] on the input's basis; nil: no branch
	Bias   []float32
}

// Input is what the runtime does to one input of the block.
type Input struct {
	Transform linalg.Transform // nil: none
	Basis     []float32        // [count × width]; nil: no branch
	Count     int
	Remove    bool // the basis' part is removed before rounding
}

// Block is a quantized block to be tuned. Tune changes Levels, Scale, Coeff and
// the norms.
type Block struct {
	Config            *checkpoint.Config
	Rope              *llama.Rope
	AttnNorm, MLPNorm []float32
	Layers            [llama.NumLinears]*Layer
	Inputs            [llama.NumInputs]Input
	QK                *llama.QK // nil: none
	Activations, KV   int       // bits
	Clip              float32   // of activations
	ActGroup          int       // channels that share a grid; 0: the whole token

	// Live is 1 for the channels of an input that are not always zero in the calibration
	// data, 0 for the others, whose scales are not learned because nothing is known about
	// them. For o it is by value channel. nil: all are live.
	Live [llama.NumInputs][]float32
}

// Options are the duration and learning rates. Rates are per step: of rounding offsets in
// steps of the grid, of the others relative to the size of what is learned.
type Options struct {
	Epochs, Batch int // passes over the windows, windows per step
	Rounding      float64
	Scales        float64
	Branch        float64
	Norms         float64
	Seed          uint64

	// Tell, if not nil, is called before each step: in which epoch, from 1, and after how
	// many of its windows.
	Tell func(epoch, done, windows int)
}

// Windows returns, for window i, the input of the quantized block and the output of the
// full-precision block [tokens × hidden]. They are valid until the next call.
type Windows interface {
	Count() int
	Tokens() int
	Window(i int) (input, target []float32, err error)
}

// parameters of a block on the tape.
type parameters struct {
	b       *Block
	spec    *grad.BlockSpec
	offsets [llama.NumLinears]*grad.Var
	scales  [llama.NumLinears]*grad.Var
	coeffs  [llama.NumLinears]*grad.Var
	bases   [llama.NumInputs]*grad.Var
	x, z    [llama.NumInputs]*grad.Var // of the current pass: the input to be rounded, and the coefficients on the basis
	groups  []grad.Group
}

// Tune trains the block, as far as windows that are not trained on gain from it: see
// [Outcome]. Losses are relative to the power of what the block adds. A block that gains
// nothing is left as it is.
func Tune(ctx context.Context, p *parallel.Pool, b *Block, w Windows, o Options) (Outcome, error) {
	params := newParameters(b, w.Tokens(), o)
	tape := &grad.Tape{Pool: p}
	params.hook(tape)
	d := descent{windows: w, options: o, width: b.Config.HiddenSize, groups: params.groups, loss: func(x, target []float32, rows int, learn bool) float64 {
		return finish(tape, params.loss(tape, x, target, rows), learn)
	}}
	out, err := d.judged(ctx)
	if err != nil || out.Epoch == 0 {
		return out, err
	}
	return out, params.write(tape)
}

// finish returns the loss on a tape, adds its gradients to those of the parameters if it is
// learned from, and clears the tape.
func finish(t *grad.Tape, loss *grad.Var, learn bool) float64 {
	value := float64(loss.Data[0])
	if learn {
		t.Backward(loss)
	}
	t.Reset()
	return value
}

// loss returns the loss of the block with its current parameters.
func (p *parameters) loss(t *grad.Tape, x, target []float32, rows int) *grad.Var {
	return blockLoss(t, p.spec, x, target, rows)
}

// blockLoss returns the squared error of the residual stream after the block, relative to
// the power of what the full-precision block adds to it.
func blockLoss(t *grad.Tape, s *grad.BlockSpec, x, target []float32, rows int) *grad.Var {
	hidden := s.Config.HiddenSize
	y := t.Block(grad.Const(rows, hidden, x), s)
	l := t.MSE(y, grad.Const(rows, hidden, target), nil)
	var power, moved float64
	for i, v := range target {
		d := float64(v) - float64(x[i])
		power += float64(v) * float64(v)
		moved += d * d
	}
	if moved == 0 {
		return l
	}
	return t.Scale(l, float32(power/moved))
}

func newParameters(b *Block, window int, o Options) *parameters {
	p := &parameters{b: b}
	hidden := b.Config.HiddenSize
	p.spec = &grad.BlockSpec{Config: b.Config, Rope: b.Rope, Window: window}
	for i, gain := range [][]float32{b.AttnNorm, b.MLPNorm} {
		p.spec.Norms[i] = p.learn("norm", 1, hidden, gain, o.Norms*rms(gain), 0, 0)
	}
	for in := range llama.NumInputs {
		if v := &b.Inputs[in]; v.Basis != nil {
			p.bases[in] = grad.Const(v.Count, in.Width(b.Config), v.Basis)
		}
	}
	for w := range llama.NumLinears {
		l := b.Layers[w]
		p.spec.Weights[w] = grad.Const(l.Out, l.In, l.W)
		if l.Bias != nil {
			p.spec.Bias[w] = grad.Const(1, l.Out, l.Bias)
		}
		if l.Bits == quant.FullBits {
			continue
		}
		p.offsets[w] = p.learn("rounding of "+w.String(), l.Out, l.In, l.offsets(), o.Rounding, -1.5, 1.5)
		groups := len(l.Scale) / l.Out
		p.scales[w] = p.learn("scales of "+w.String(), l.Out, groups, l.Scale, o.Scales*l.scaleSize(), 1e-7, 65000)
		if l.Coeff != nil {
			k := len(l.Coeff) / l.Out
			p.coeffs[w] = p.learn("branch of "+w.String(), l.Out, k, l.Coeff, o.Branch*rms(l.Coeff), -65000, 65000)
		}
	}
	return p
}

// learn adds a parameter with its own learning rate; a rate of 0 makes it a constant. Equal
// bounds mean no bounds.
func (p *parameters) learn(name string, rows, cols int, data []float32, rate float64, low, high float32) *grad.Var {
	if rate == 0 {
		return grad.Const(rows, cols, data)
	}
	v := grad.Param(name, rows, cols, data)
	g := grad.Group{Params: []*grad.Var{v}, Rate: rate, Low: low, High: high}
	p.groups = append(p.groups, g)
	return v
}

func rms(x []float32) float64 {
	return math.Sqrt(float.SumSquares(x) / float64(max(len(x), 1)))
}

// scaleSize is the root mean square of the scales, without those of all-zero groups, which
// have very different values.
func (l *Layer) scaleSize() float64 {
	groups := len(l.Scale) / l.Out
	size := l.In
	if groups > 1 {
		size = l.Group
	}
	var live []float32
	for g, s := range l.Scale {
		if s <= quant.ZeroGroupScale {
			continue
		}
		lo := g/groups*l.In + g%groups*size
		zero := l.shift(g)
		for _, q := range l.Levels[lo:min(lo+size, (g/groups+1)*l.In)] {
			if float64(q) != zero {
				live = append(live, s)
				break
			}
		}
	}
	return rms(live)
}

// offsets returns what must be added to w/s, in steps, for it to be rounded to the levels:
// 0 where it is rounded to them already.
func (l *Layer) offsets() []float32 {
	v := make([]float32, len(l.W))
	groups := len(l.Scale) / l.Out
	size := l.In
	if groups > 1 {
		size = l.Group
	}
	for r := range l.Out {
		for c := range l.In {
			i, g := r*l.In+c, r*groups+c/size
			at := float64(l.W[i])/float64(l.Scale[g]) + l.shift(g)
			d := float64(l.Levels[i]) - at
			const inside = 0.49
			if math.Abs(d) > inside {
				v[i] = float32(min(max(d-math.Copysign(inside, d), -1.5), 1.5))
			}
		}
	}
	return v
}

// shift is the offset of Levels from w/s: 0 on a symmetric grid.
func (l *Layer) shift(group int) float64 {
	switch l.Zero {
	case quant.ZeroCentred:
		return -0.5
	case quant.ZeroAsymmetric:
		return float64(l.Zeros[group]) - float64(int(1)<<(l.Bits-1))
	}
	return 0
}
