package stage

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// The output matrix (head.method: gptq), after all blocks: rounded by GPTQ as the layers
// are, so that the error of the logits, Σ ‖(W − Ŵ) x‖² over the calibration windows' hidden
// states after the final norm, is small. It may have hundreds of thousands of rows and is
// processed in parts that share one factor.
//
// Reads: the activations after the last block, the final norm. Changes: nothing. Holds: the
// factor of the second moments of the hidden states, hidden² numbers.

// Head describes the output matrix's input.
type Head struct {
	pool      *parallel.Pool
	transform linalg.Transform // of the input, and so of the rows of the matrix; nil: none
	factor    *Factor          // nil: rows are rounded to nearest
}

// NewHead returns the transform that the recipe applies to the output matrix's input,
// without a factor (see [Head.Measure]).
func NewHead(p *parallel.Pool, c *checkpoint.Config, formats artefact.Transforms) (*Head, error) {
	transform, err := formats.HeadTransform(c)
	return &Head{pool: p, transform: transform}, err
}

// Measure gathers the second moments of the output matrix's input over the calibration
// windows and factors them. The stored activations must be those after the last block.
func (h *Head) Measure(ctx context.Context, st *State, ck *checkpoint.Checkpoint) error {
	st.Tell("output matrix")
	st.Block, st.Quantized = llama.DenseBlock{}, nil // the last block is done with: its memory is free
	st.at(PartHead, float64(st.Windows*st.Tokens)*float64(st.Config.HiddenSize)*float64(st.Config.HiddenSize+1))
	c := st.Config
	norm, err := llama.FinalGain(ck)
	if err != nil {
		return err
	}
	if rest, err := st.Rotation.Rest(st.Pool, ck); err != nil {
		return err
	} else if rest != nil { // the norm's gains are folded into the rotated matrix
		rest[NormWeight](norm, 1)
	}
	n := c.HiddenSize
	var moments []float64
	if len(st.hessian) >= n*n {
		moments = st.hessian[:n*n] // until the factor has memory of its own
		clear(moments)
		defer func() { h.factor.own() }()
	} else {
		moments = make([]float64, n*n)
	}
	x := make([]float32, st.Tokens*n)
	for i := range st.Windows {
		if err := ctx.Err(); err != nil {
			return err
		}
		hidden, err := st.Inputs.Get(i)
		if err != nil {
			return err
		}
		float.RMSNormOn(st.Pool, x, hidden, norm, c.NormEps, st.Tokens)
		if h.transform != nil {
			h.transform.Apply(st.Pool, x, st.Tokens)
		}
		st.gram.AddLower(st.Pool, moments, n, x, n, st.Tokens)
	}
	if h.factor, err = NewFactor(st.Pool, moments, n, st.Recipe.Solve); err != nil {
		return fmt.Errorf("input of the output matrix: %w", err)
	}
	return nil
}

// headBytes is the memory that Measure allocates: the factor, and the moments if the blocks
// have left no memory for them.
func headBytes(c *checkpoint.Config, r *recipe.Recipe, threads int) int64 {
	n := int64(c.HiddenSize)
	bytes := 8 * n * n
	if r.NeedsHessian() {
		bytes = 4 * n * n
	}
	return bytes + FactorBytes(c.HiddenSize, r.Solve, threads)
}

// Prepare returns what is done to rows of the matrix before they are rounded: before, which
// may be nil, then the transform. The result is nil if there is nothing to do.
func (h *Head) Prepare(before func(w []float32, rows int)) func(w []float32, rows int) {
	if h.transform == nil {
		return before
	}
	return func(w []float32, rows int) {
		if before != nil {
			before(w, rows)
		}
		h.transform.Apply(h.pool, w, rows)
	}
}

// Rounder returns GPTQ on grid g for rows of the matrix; nil means round to nearest.
func (h *Head) Rounder(g quant.Grid) artefact.Rounder {
	if h.factor == nil {
		return nil
	}
	return func(q []int8, w []float32, scales quant.Steps, rows int) {
		h.factor.GPTQ(h.pool, g, q, w, scales, rows)
	}
}
