package learn

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/grad"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
)

// FlatQuant learns an invertible transform for each input (Sun et al., arXiv 2410.09426),
// block by block, by AdamW on the squared error of the block's output (equation 5), with
// learning rates falling along a cosine to a thousandth:
//
//   - P = P₁ ⊗ P₂ (equation 4), with factors as equal in size as the width allows. At run
//     time the input becomes P·(x/λ), and the layers hold W·diag(λ)·P⁻¹.
//   - Each factor is U·diag(exp s)·Vᵀ, with U and V orthogonal by the Cayley transform
//     (appendix B.1), so that its inverse, V·diag(exp −s)·Uᵀ, needs no extra work and
//     always exists. It starts as a random Hadamard matrix.
//   - λ, the per-channel scaling of section 3.1, is learned as in [OmniQuant], starting
//     from the smoothed block (α = 0.3 in the paper's code).
//   - The weights' clips, section 3.1, are learned as in [OmniQuant].
//
// Unlike in the paper, clips of activations are not learned: a model has one for all
// inputs, from the recipe. o has one transform of its whole width instead of one across
// heads and one folded into v, and the cache has Hadamard matrices (the recipe's
// rotate.cache and rotate.heads) instead of learned ones.
func FlatQuant(ctx context.Context, p *parallel.Pool, b *Block, w Windows, o Rates) (*Equivalent, error) {
	e := newEquivalent(b, w.Tokens(), o)
	for in := range llama.NumInputs {
		t, err := newSVDTurn(p, in.Width(b.Config), o.Seed+uint64(in))
		if err != nil {
			return nil, fmt.Errorf("transform of the input of %s: %w", in, err)
		}
		e.transforms[in] = t
		e.groups = append(e.groups, grad.Group{Params: t.params(), Rate: o.Rate})
	}
	steps := (w.Count() + o.Batch - 1) / o.Batch
	return e.train(ctx, p, w, o, grad.Cosine(steps*o.Epochs, 1e-3))
}

// Squarest returns the factors a ≤ b of n that are closest to each other.
func Squarest(n int) (a, b int) {
	a = 1
	for i := 2; i <= n/i; i++ {
		if n%i == 0 {
			a = i
		}
	}
	return a, n / a
}

// svdTransform is a Kronecker product on the tape.
type svdTransform [2]svdFactor

// svdFactor is the matrix start·Cayley(u)·diag(exp s)·Cayley(v)ᵀ.
type svdFactor struct{ start, u, s, v *grad.Var }

func newSVDTurn(p *parallel.Pool, width int, seed uint64) (*svdTransform, error) {
	var t svdTransform
	a, b := Squarest(width)
	for i, n := range []int{a, b} {
		start, err := linalg.NewRotation(n, seed<<1|uint64(i))
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("factor %d of a transform of %d: ", i+1, width)
		t[i] = svdFactor{start: grad.Const(n, n, start.Dense(p)), u: grad.Filled(name+"U", n, n, 0),
			s: grad.Filled(name+"s", 1, n, 0), v: grad.Filled(name+"V", n, n, 0)}
	}
	return &t, nil
}

func (s *svdTransform) params() []*grad.Var {
	return []*grad.Var{s[0].u, s[0].s, s[0].v, s[1].u, s[1].s, s[1].v}
}

// turnVars are the factors and the transposes of their inverses.
type turnVars struct{ factor, inverse [2]*grad.Var }

func (s *svdTransform) on(t *grad.Tape) (y turnVars) {
	for i, f := range s {
		u, v, e := t.MulNN(f.start, t.Cayley(f.u)), t.Cayley(f.v), t.Exp(f.s)
		y.factor[i] = t.MulNT(t.Mul(u, e), v)
		y.inverse[i] = t.MulNT(t.Div(u, e), v) // (U·E·Vᵀ)⁻ᵀ = U·E⁻¹·Vᵀ
	}
	return y
}

// activations multiplies each row x by P: P·x.
func (v *turnVars) activations(t *grad.Tape, x *grad.Var) *grad.Var {
	return t.Kronecker(x, v.factor[0], v.factor[1])
}

// weights multiplies each row w by P⁻¹: P⁻ᵀ·wᵀ.
func (v *turnVars) weights(t *grad.Tape, w *grad.Var) *grad.Var {
	return t.Kronecker(w, v.inverse[0], v.inverse[1])
}

func (s *svdTransform) result(t *grad.Tape) *Kronecker {
	y := s.on(t)
	return &Kronecker{A: y.factor[0].Rows, B: y.factor[1].Rows,
		Left: append([]float32(nil), y.factor[0].Data...), Right: append([]float32(nil), y.factor[1].Data...)}
}

// Transform returns the transform of activations (forward), and P⁻ᵀ, the transform of the
// rows of the weights that read them (inverse).
func (r *Kronecker) Transform(p *parallel.Pool) (forward, inverse linalg.Transform, err error) {
	if forward, err = linalg.NewKronecker(r.Left, r.A, r.Right, r.B); err != nil {
		return nil, nil, err
	}
	t := &grad.Tape{Pool: p}
	var sides [2][]float32
	for i, f := range []*grad.Var{grad.Const(r.A, r.A, r.Left), grad.Const(r.B, r.B, r.Right)} {
		m, err := t.Inverse(f)
		if err != nil {
			return nil, nil, err
		}
		sides[i] = append([]float32(nil), t.Transpose(m).Data...)
	}
	inverse, err = linalg.NewKronecker(sides[0], r.A, sides[1], r.B)
	return forward, inverse, err
}
