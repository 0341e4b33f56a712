package stage

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// The output matrix (head.method: gptq), after all blocks: rounded by GPTQ as the
// layers are, so that the error of the logits is small, Σ ‖(W − Ŵ) x‖² over what the
// last block and the final norm give for the calibration windows. It may have
// hundreds of thousands of rows and is worked on in parts, which share one factor.
//
// Reads: the inputs that the last block left, the final norm. Changes: nothing.
// Holds: the second moments of the hidden states and their factor, 2·hidden² numbers.

// Head is what is known of the output matrix's input.
type Head struct {
	pool   *kernel.Pool
	turn   linalg.Transform // of the input, and so of the matrix's rows; nil: none
	factor *Factor          // nil: rows are rounded to nearest
}

// NewHead is the transform that the recipe has the output matrix's input undergo,
// and nothing else.
func NewHead(p *kernel.Pool, c *checkpoint.Config, formats artefact.Transforms) (*Head, error) {
	turn, err := formats.HeadTransform(c)
	return &Head{pool: p, turn: turn}, err
}

// Measure gathers the second moments of the output matrix's input over what the last
// block has left of all windows, and factors them.
func (h *Head) Measure(ctx context.Context, st *State, ck *checkpoint.Checkpoint) error {
	st.Tell("output matrix")
	c := st.Config
	norm, err := llama.FinalGain(ck)
	if err != nil {
		return err
	}
	if rest, err := st.Rotation.Rest(st.Pool, ck); err != nil {
		return err
	} else if rest != nil { // the gains have gone into the rotated matrix
		rest[NormWeight](norm, 1)
	}
	n := c.HiddenSize
	moments := make([]float64, n*n)
	x := make([]float32, st.Tokens*n)
	for i := range st.Windows {
		if err := ctx.Err(); err != nil {
			return err
		}
		hidden, err := st.Inputs.Get(i)
		if err != nil {
			return err
		}
		st.Pool.RMSNorm(x, hidden, norm, c.NormEps, st.Tokens)
		if h.turn != nil {
			h.turn.Apply(st.Pool, x, st.Tokens)
		}
		st.Pool.SyrkTN(moments, n, x, n, st.Tokens)
	}
	if h.factor, err = NewFactor(st.Pool, moments, n, st.Recipe.Solve); err != nil {
		return fmt.Errorf("input of the output matrix: %w", err)
	}
	return nil
}

// headBytes is what Measure allocates: the moments and their factor.
func headBytes(c *checkpoint.Config, r *recipe.Recipe) int64 {
	n := int64(c.HiddenSize)
	return 8*n*n + FactorBytes(c.HiddenSize, r.Solve)
}

// Prepare is what is done to rows of the matrix before they are rounded: what was
// to be done anyway, which may be nil, and the transform. It is nil for nothing.
func (h *Head) Prepare(before func(w []float32, rows int)) func(w []float32, rows int) {
	if h.turn == nil {
		return before
	}
	return func(w []float32, rows int) {
		if before != nil {
			before(w, rows)
		}
		h.turn.Apply(h.pool, w, rows)
	}
}

// Rounder rounds rows of the matrix on grid g; nil: to nearest.
func (h *Head) Rounder(g quant.Grid) artefact.Rounder {
	if h.factor == nil {
		return nil
	}
	return func(q []int8, w []float32, scales quant.Steps, rows int) {
		h.factor.GPTQ(h.pool, g, q, w, scales, rows)
	}
}
