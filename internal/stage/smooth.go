package stage

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
)

// Smoothing (SmoothQuant, Xiao et al., arXiv 2211.10438; section 3.2 of SpecQuant). The
// channels of a layer's input are divided by λ and the weights that read them multiplied,
//
//	W·x = (W·diag(λ))·(x/λ),  λ_i = max|x_i|^α / max_j|W_ji|^(1−α)
//
// which changes nothing in full precision, and moves large activations into the weights,
// which are easier to round. 1/λ is folded into what produces the input: the gain of the
// norm, the rows of v, or the rows of up.
//
// Reads the statistics and samples of the inputs. Changes the weights of the block and
// its norms. Holds nothing afterwards.

// Smooth chooses α for each input of the block and folds λ and 1/λ in. The inputs of
// down and o come first, since their λ changes the rows of up and v, which read the
// other two.
func (st *State) Smooth(ctx context.Context) error {
	st.Tell("smoothing outliers")
	for _, in := range []llama.Input{llama.DownInput, llama.OInput, llama.MLPInput, llama.AttnInput} {
		if in == llama.DownInput && st.experts() > 0 {
			continue // each expert's was smoothed after its statistics
		}
		if err := st.SmoothInput(ctx, in); err != nil {
			return fmt.Errorf("input of %s: %w", in, err)
		}
	}
	return nil
}

// SmoothInput chooses α for one input and folds λ and 1/λ in.
func (st *State) SmoothInput(ctx context.Context, in llama.Input) error {
	chosen, lambda, err := st.lambda(ctx, in)
	if err != nil {
		return err
	}
	for _, l := range st.readersOf(in) {
		st.Reports[l.Index()].Alpha = chosen
	}
	if lambda == nil {
		return nil
	}
	for _, l := range st.readersOf(in) {
		ScaleColumns(st.Block.Layer(l).W, lambda, st.Pool.Run)
	}
	st.fold(in, lambda)
	return nil
}

// lambda chooses λ of an input by the recipe's method and returns a description for the
// report; a nil λ leaves the input as it is.
func (st *State) lambda(ctx context.Context, in llama.Input) (chosen string, lambda []float32, err error) {
	s := st.Recipe.Smooth
	switch {
	case !s.Has(in):
	case in == llama.MLPInput && st.experts() > 0:
		chosen, lambda, err = st.sharedLambda(ctx)
	case s.Method == recipe.SmoothAWQ:
		chosen, lambda, err = st.searchAWQ(ctx, in)
	default:
		var alpha recipe.Alpha
		alpha, lambda, err = st.searchAlpha(ctx, in)
		chosen = alpha.String()
	}
	if lambda == nil {
		chosen = recipe.Off.String()
	}
	return chosen, lambda, err
}

// fold divides the outputs of the layer or norm that produces the input by λ.
func (st *State) fold(in llama.Input, lambda []float32) {
	b := &st.Block
	switch in {
	case llama.AttnInput:
		DivideTokens(b.AttnNorm, b.AttnNorm, lambda)
	case llama.MLPInput:
		DivideTokens(b.MLPNorm, b.MLPNorm, lambda)
		st.foldRouter(lambda)
	case llama.DownInput:
		up := &b.Linears[llama.Up]
		DivideRows(up.W, up.Bias, lambda, st.Pool.Run)
	case llama.OInput:
		v := &b.Linears[llama.V]
		rows := make([]float32, v.Out)
		for i, kv := range llama.ValueChannels(st.Config) {
			rows[kv] = lambda[i] // the same for all query heads of the kv head
		}
		DivideRows(v.W, v.Bias, rows, st.Pool.Run)
	}
}
