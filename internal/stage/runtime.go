package stage

import (
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// runLinear computes what the runtime computes with a quantized layer: the branch's
// subspace is removed from the activations, they are rounded, and the branch is added to
// the product. A layer that has its codes is multiplied by the runtime's own integer
// kernels; one that is still being worked on, in float32.
type runLinear struct {
	residual *llama.Dense    // scale·q and the bias
	codes    *integer.Matrix // the same, as the runtime reads it; nil: products are computed in float32
	branch   *artefact.Branch
	v, coeff []float32 // of a branch on a stored basis
	act      integer.ActGrid
	s        *runScratch
}

// runScratch is scratch memory for one layer at a time, shared by all.
type runScratch struct {
	acts     integer.Activations
	x, xq, z []float32
}

// runScratchBytes is the size of a runScratch for inputs of this width: activations without
// the branch's part, the same rounded, and their codes.
func runScratchBytes(tokens, width int) int64 { return int64(tokens) * (4 + 4 + 2) * int64(width) }

// codesBytes is what the quantized layers of a block take for the integer kernels beside
// their stored form: scales, and with zero points of their own those, in float32.
func codesBytes(c *checkpoint.Config, r *recipe.Recipe) int64 {
	if r.ActGrid().Bits >= quant.Full.Activations {
		return 0
	}
	outputs, _ := readers(c)
	scales := outputs * int64(max(1, c.Experts.Count))
	if r.Weights.Group > 0 && r.Weights.Scales != quant.ScalesMultiples {
		scales += BlockWeights(c) / int64(r.Weights.Group)
	}
	if r.Weights.Zero == quant.ZeroAsymmetric {
		scales *= 2
	}
	return 4 * scales
}

func newRunLinear(d *llama.Dense, b *artefact.Branch, act integer.ActGrid, s *runScratch) *runLinear {
	r := &runLinear{residual: d, branch: b, act: act, s: s}
	if b != nil && b.Subspace != nil {
		r.v, r.coeff = b.Subspace.Floats(), b.Coefficients()
	}
	return r
}

// installed is newRunLinear for a finished layer.
func installed(d *llama.Dense, q *artefact.Linear, act integer.ActGrid, s *runScratch) (*runLinear, error) {
	r := newRunLinear(d, q.Branch, act, s)
	if act.Bits >= quant.Full.Activations {
		return r, nil
	}
	var err error
	r.codes, err = q.Matrix()
	return r, err
}

// project returns z, the coefficients of x [tokens × in] on a stored basis, and what is
// left of x to round. Both are valid until the next call.
func (r *runLinear) project(p *parallel.Pool, x []float32, tokens int) (rest, z []float32) {
	s, n := r.s, r.residual.In
	rest = x[:tokens*n]
	if r.v == nil {
		return rest, nil
	}
	k := r.branch.Subspace.Count
	s.z = shape.Grow(s.z, tokens*k)
	float.MatMulNT(p, s.z, k, x, n, r.v, n, tokens, k, n, false)
	z = s.z
	if r.branch.Subspace.Remove {
		s.x = shape.Grow(s.x, tokens*n)
		copy(s.x, rest)
		for i, v := range z {
			z[i] = -v
		}
		float.MatMulNN(p, s.x, n, z, k, r.v, n, tokens, n, k, true)
		for i, v := range z {
			z[i] = -v
		}
		rest = s.x
	}
	return rest, z
}

// input returns the rounded activations xq that the product in float32 reads for x [tokens ×
// in], and z, the coefficients on a stored basis. Both are valid until the next call.
func (r *runLinear) input(p *parallel.Pool, x []float32, tokens int) (xq, z []float32) {
	s, n := r.s, r.residual.In
	xq, z = r.project(p, x, tokens)
	if r.act.Bits < quant.Full.Activations {
		s.acts.Quantize(p, xq, n, tokens, n, r.act, 0)
		s.xq = shape.Grow(s.xq, tokens*n)
		s.acts.Dequantize(p, s.xq, n)
		xq = s.xq
	}
	return xq, z
}

// Forward implements [llama.Linear].
func (r *runLinear) Forward(p *parallel.Pool, y, x []float32, tokens int) {
	d := r.residual
	if r.codes != nil {
		rest, z := r.project(p, x, tokens)
		r.s.acts.Quantize(p, rest, d.In, tokens, d.In, r.act, r.codes.Group)
		integer.Mul(p, y, d.Out, r.codes, &r.s.acts)
		r.addBranch(p, y, x, z, tokens)
	} else {
		xq, z := r.input(p, x, tokens)
		r.product(p, y, x, xq, z, tokens)
	}
	float.AddEachOn(p, y, d.Bias, tokens)
}

// product writes y from the results of input, without the bias.
func (r *runLinear) product(p *parallel.Pool, y, x, xq, z []float32, tokens int) {
	d := r.residual
	float.MatMulNT(p, y, d.Out, xq, d.In, d.W, d.In, tokens, d.Out, d.In, false)
	r.addBranch(p, y, x, z, tokens)
}

// addBranch adds the branch's product to y.
func (r *runLinear) addBranch(p *parallel.Pool, y, x, z []float32, tokens int) {
	d := r.residual
	switch {
	case r.branch == nil:
	case r.v != nil:
		k := r.branch.Subspace.Count
		float.MatMulNT(p, y, d.Out, z, k, r.coeff, k, tokens, d.Out, k, true)
	default:
		b := r.branch.Spectrum()
		p.Run(tokens, func(t int) { b.Apply(y[t*d.Out:][:d.Out], x[t*d.In:][:d.In]) })
	}
}

// Runnable returns the loaded block in its current state: quantized layers as they will
// run, if the recipe asks for that, and the others in float32.
func (st *State) Runnable() *llama.Block {
	b := st.Block.Block()
	for e := range b.Experts {
		b.Experts[e] = st.expert(e)
	}
	for l, r := range st.runs {
		if r == nil {
			continue
		}
		*[]*llama.Linear{&b.Q, &b.K, &b.V, &b.O, &b.Gate, &b.Up, &b.Down}[l] = r
	}
	st.setTransforms(b)
	return b
}

// Runtime returns a quantized layer of the loaded block as it will run, or nil if
// calibration uses its weights in float32 (see calibration.propagate).
func (st *State) Runtime(l llama.Which) llama.Linear {
	if r := st.runs[l]; r != nil {
		return r
	}
	return nil
}

// RuntimeTransform is what the runtime does to an input of the loaded block, or nil if
// there is nothing to do or the inverse is not folded into the weights yet.
func (st *State) RuntimeTransform(in llama.Input) linalg.Transform {
	if !st.rotated {
		return nil
	}
	return st.Transform(in)
}

// timedTransform tells the clock of a transform within a forward pass.
type timedTransform struct {
	st *State
	t  llama.Transform
}

// Apply implements [llama.Transform].
func (t timedTransform) Apply(p *parallel.Pool, x []float32, rows int) {
	t.st.at(PartTransforms, 0)
	t.t.Apply(p, x, rows)
	t.st.at(PartForward, 0)
}

// setTransforms gives b the run-time transforms whose inverses are folded into the weights.
func (st *State) setTransforms(b *llama.Block) {
	if !st.rotated {
		return
	}
	for in := range llama.NumInputs {
		if t := st.Transform(in); t != nil {
			b.Inputs[in] = t
			if st.Clock != nil {
				b.Inputs[in] = timedTransform{st, t}
			}
		}
	}
	b.QK = st.qk()
}

// CacheHook rounds keys and values as the runtime's cache does; nil if the cache does not
// round or calibration does not emulate it.
func (st *State) CacheHook() func(k, v []float32, tokens int) {
	f := quant.KV{Bits: st.Recipe.Bits.KV, HeadDim: st.Config.HeadDim}
	if !st.Recipe.Runtime() || f.Bits >= quant.Full.KV {
		return nil
	}
	heads, d := st.Config.KVHeads, f.HeadDim
	return func(k, v []float32, tokens int) {
		st.Pool.Run(tokens, func(t int) {
			scratch := make([]byte, f.Bytes())
			for o := t * heads * d; o < (t+1)*heads*d; o += d {
				f.Emulate(k[o:][:d], scratch)
				f.Emulate(v[o:][:d], scratch)
			}
		})
	}
}
