package learn

import (
	"context"
	"math/rand/v2"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
)

// Spin is a whole full-precision model whose rotations are to be learned. SpinQuant changes
// Residual and Heads.
type Spin struct {
	Config *checkpoint.Config
	Rope   *llama.Rope
	Blocks []*llama.DenseBlock // as in the checkpoint
	Embed  []float32           // [vocab × hidden]
	Norm   []float32           // [hidden]
	Head   []float32           // [vocab × hidden]

	Residual []float32   // R1 [hidden × hidden], orthogonal; nil: none
	Heads    [][]float32 // R2 of each block [head_dim × head_dim]; nil: none

	// What the runtime does, as in [Block].
	QK              *llama.QK
	Inputs          [llama.NumInputs]linalg.Transform
	Values          []float32 // signs of the value channels, after R2 [kv_heads·head_dim]; nil: none
	Activations, KV int
	Clip            float32
	ActGroup        int
}

// SpinRates are the duration and learning rate.
type SpinRates struct {
	Steps, Batch int // Batch: windows per step
	Rate         float64
	Seed         uint64
}

// SpinQuant learns rotations on the Stiefel manifold (Liu et al., arXiv 2405.16406, section
// 3.2): the network's cross entropy, with activations and cache quantized and weights
// unquantized, is minimized along Cayley curves (equation 4), with a learning rate that
// falls to 0 along a cosine. R1 rotates the residual stream and R2 the values of each head;
// R3 and R4 (QK, Inputs) are fixed. windows are tokens, all of one length. It returns the
// mean loss, in nats per token, over the first and the last tenth of the steps.
//
// The stream itself is not rotated: only what layers read is rotated, rounded to the grid
// and rotated back, Q(x·R₁ᵀ)·R₁·Wᵀ. This equals the result with folded weights, but takes
// two products for each input instead of one for each layer.
func SpinQuant(ctx context.Context, p *parallel.Pool, m *Spin, windows [][]int, o SpinRates) (first, last float64, err error) {
	t := &grad.Tape{Pool: p}
	s := newSpin(t, m, len(windows[0]))
	sgd := &grad.CayleySGD{Pool: p, Params: s.params, Rate: o.Rate, Schedule: grad.Cosine(o.Steps, 0), Seed: o.Seed}
	rng := rand.New(rand.NewPCG(o.Seed, 0x7370_696e))
	var order []int
	tenth := max(1, o.Steps/10)
	for step := range o.Steps {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		var batch [][]int
		for range min(o.Batch, len(windows)) {
			if len(order) == 0 {
				order = rng.Perm(len(windows))
			}
			batch = append(batch, windows[order[0]])
			order = order[1:]
		}
		loss := s.loss(t, batch)
		value := float64(loss.Data[0])
		if step < tenth {
			first += value / float64(tenth)
		}
		if step >= o.Steps-tenth {
			last += value / float64(tenth)
		}
		t.Backward(loss)
		t.Reset()
		if err := sgd.Step(); err != nil {
			return 0, 0, err
		}
	}
	for _, v := range s.params { // orthogonal to the precision of float32, since it is folded in as if it were exactly
		if err := grad.Orthonormalize(p, v); err != nil {
			return 0, 0, err
		}
	}
	return first, last, nil
}

// spin is the model on the tape.
type spin struct {
	m      *Spin
	specs  []*grad.BlockSpec
	r1     *grad.Var
	norm   *grad.Var
	head   *grad.Var
	params []*grad.Var
}

func newSpin(t *grad.Tape, m *Spin, window int) *spin {
	c := m.Config
	h, d := c.HiddenSize, c.HeadDim
	s := &spin{m: m, norm: grad.Const(1, h, m.Norm), head: grad.Const(c.VocabSize, h, m.Head)}
	if m.Residual != nil {
		s.r1 = grad.Param("R1", h, h, m.Residual)
		s.params = append(s.params, s.r1)
	}
	for i, b := range m.Blocks {
		spec := grad.Spec(c, m.Rope, b, window)
		if m.Residual != nil {
			foldGains(spec, b)
		}
		var r2 *grad.Var
		if m.Heads != nil {
			r2 = grad.Param("R2 of "+llama.TensorPrefix(i), d, d, m.Heads[i])
			s.params = append(s.params, r2)
		}
		s.hook(t, spec, r2)
		s.specs = append(s.specs, spec)
	}
	return s
}

// foldGains moves the norms' gains into the weights that read them, because R1 can only
// rotate the output of a norm without gains.
func foldGains(s *grad.BlockSpec, b *llama.DenseBlock) {
	for w := range llama.NumLinears {
		gain := b.AttnNorm
		switch w.Input() {
		case llama.MLPInput:
			gain = b.MLPNorm
		case llama.AttnInput:
		default:
			continue
		}
		d := &b.Linears[w]
		folded := append([]float32(nil), d.W...)
		for i := range folded {
			folded[i] *= gain[i%d.In]
		}
		s.Weights[w] = grad.Const(d.Out, d.In, folded)
	}
	for i := range s.Norms {
		ones := make([]float32, len(b.AttnNorm))
		for k := range ones {
			ones[k] = 1
		}
		s.Norms[i] = grad.Const(1, len(ones), ones)
	}
}

// hook adds the rotations to the spec of one block.
func (s *spin) hook(t *grad.Tape, spec *grad.BlockSpec, r2 *grad.Var) {
	m, c := s.m, s.m.Config
	var signs *grad.Var
	if m.Values != nil {
		signs = grad.Const(1, len(m.Values), m.Values)
	}
	spread := llama.ValueChannels(c) // maps each channel of o's input to its value channel
	spec.Input = func(in llama.Input, x *grad.Var) *grad.Var {
		turned := s.r1 != nil && (in == llama.AttnInput || in == llama.MLPInput)
		if turned {
			x = t.MulNT(x, s.r1)
		}
		if m.Inputs[in] != nil {
			x = t.Transform(x, m.Inputs[in])
		}
		x = t.QuantizeActivations(x, grad.ActQuant{Bits: m.Activations, Clip: m.Clip, Group: m.ActGroup})
		if m.Inputs[in] != nil {
			x = t.Transform(x, transposed{m.Inputs[in]})
		}
		if turned {
			x = t.MulNN(x, s.r1)
		}
		if in == llama.OInput {
			if signs != nil {
				x = t.Mul(x, t.Gather(signs, spread))
			}
			if r2 != nil {
				x = t.BlockDiag(x, r2, c.Heads)
			}
		}
		return x
	}
	spec.QK = hookQK(t, m.QK)
	spec.KV = func(k, v *grad.Var) (*grad.Var, *grad.Var) {
		if r2 != nil {
			v = t.BlockDiag(v, t.Transpose(r2), c.KVHeads)
		}
		if signs != nil {
			v = t.Mul(v, signs)
		}
		if m.KV < quant.FullBits {
			f := quant.KV{Bits: m.KV, HeadDim: c.HeadDim}
			k, v = t.QuantizeKV(k, f), t.QuantizeKV(v, f)
		}
		return k, v
	}
}

// loss is the cross entropy of the next tokens in the windows.
func (s *spin) loss(t *grad.Tape, windows [][]int) *grad.Var {
	c := s.m.Config
	h := c.HiddenSize
	var ids, targets []int
	for _, w := range windows {
		ids = append(ids, w...)
		targets = append(append(targets, w[1:]...), -1)
	}
	x := make([]float32, len(ids)*h)
	for i, id := range ids {
		copy(x[i*h:], s.m.Embed[id*h:][:h])
	}
	y := grad.Const(len(ids), h, x)
	for _, spec := range s.specs {
		y = t.Block(y, spec)
	}
	return t.CrossEntropy(t.RMSNorm(y, s.norm, c.NormEps), s.head, targets)
}

// transposed is the transpose of a transform; for an orthogonal one, the inverse.
type transposed struct{ linalg.Transform }

// Apply implements [grad.LinearMap].
func (r transposed) Apply(p *parallel.Pool, x []float32, rows int) { r.Transform.ApplyT(p, x, rows) }

// ApplyT implements [grad.LinearMap].
func (r transposed) ApplyT(p *parallel.Pool, x []float32, rows int) { r.Transform.Apply(p, x, rows) }
