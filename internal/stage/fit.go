package stage

import (
	"context"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Fitting (GPTAQ, Li et al., arXiv 2504.02692). The quantized model gives a layer inputs
// x̂ that differ from the full-precision model's x. Before W is rounded it is changed by
//
//	Δ = E·H⁻¹, with E = Σ (W·x − W·x̂)·x̂ᵀ and H = Σ x̂·x̂ᵀ,
//
// which makes its output on x̂ the nearest to W·x. With solve.correct: stream, o and down
// also aim at the residual stream of the full-precision model: s − ŝ is added to W·x − W·x̂.
//
// There every token counts by the size of its stream: errors and inputs are divided by the
// root mean square of s, because the next norm does the same.
//
// Δ has as many numbers as W, and so follows the chance of the calibration text too: on
// models with few calibration tokens for each input channel, fitting every layer in full
// learned that text by heart. With solve.correct: judged, some windows are left out of the
// sums, and W is changed by λ·Δ with the λ from 0 to 1 that is best for them:
//
//	λ = Σ (Δ·x̂)·e / Σ (Δ·x̂)·(Δ·x̂), e = W·x − W·x̂ (+ s − ŝ), over the windows left out.
//
// Since no layer before was fitted to these windows either, their errors stay what they are
// on other text, where those of the fitted windows get smaller from layer to layer.
//
// Reads both models' activations of all windows. Changes the second moments of the input,
// which become those of x̂ as the runtime rounds it, in the windows that are fitted; factor
// and solve do the rest. Holds the sums until the layers are solved (fitBytes).

// Reference is the full-precision model that runs beside the quantized one: its own
// activations, and the loaded block before quantization, in the same coordinates (rotated
// and smoothed), so that outputs can be subtracted.
type Reference struct {
	Inputs  *Store // the residual stream before the block, in the full-precision model
	Carried *Store // each window at the point that it has reached in the block, as [State.Carried]; nil: nothing is fitted layer by layer
	Block   llama.DenseBlock
	runner  *llama.Runner

	input, stream []float32 // of one window: the layer's input and the residual stream there
	advanced      bool      // Inputs are those of the next block already
}

// keep copies the block before it is quantized.
func (f *Reference) keep(b *llama.DenseBlock) {
	f.advanced = false
	f.Block.Index, f.Block.Norms = b.Index, b.Norms.Clone()
	for l := range b.Linears {
		d := &f.Block.Linears[l]
		d.Out, d.In, d.Bias = b.Linears[l].Out, b.Linears[l].In, slices.Clone(b.Linears[l].Bias)
		d.W = append(d.W[:0], b.Linears[l].W...)
	}
}

// window runs one window of the full-precision model up to the input, from where it was
// carried to by the input before, and keeps what the layers read there and the residual
// stream. At the input of down it goes on to the next block's input.
func (f *Reference) window(st *State, i int, in llama.Input) error {
	x, err := f.Inputs.Get(i)
	if err != nil {
		return err
	}
	b, r, tokens := f.Block.Block(), f.runner, st.Tokens
	st.setTransforms(b)
	hooks := llama.Hooks{Tap: func(at llama.Input, x []float32, tokens, width int) bool {
		if at == in {
			f.input = append(f.input[:0], x[:tokens*width]...)
		}
		return at != in || in == llama.DownInput
	}}
	r.X = append(r.X[:0], x...)
	switch in {
	case llama.AttnInput, llama.OInput:
		r.Block(b, r.X, tokens, hooks)
		if in == llama.OInput {
			err = f.Carried.Set(i, f.input)
		}
	case llama.MLPInput:
		attn, failed := f.Carried.Get(i)
		if failed != nil {
			return failed
		}
		r.AddAttention(b, r.X, attn[:tokens*llama.OInput.Width(st.Config)], tokens)
		if err = f.Carried.Set(i, r.X); err == nil {
			r.MLP(b, r.X, tokens, hooks)
		}
	case llama.DownInput:
		after, failed := f.Carried.Get(i)
		if failed != nil {
			return failed
		}
		copy(r.X, after)
	}
	f.stream = append(f.stream[:0], r.X...) // after what the block has added so far
	if in == llama.DownInput {
		r.MLP(b, r.X, tokens, hooks)
		f.advanced = true
		err = f.Inputs.Set(i, r.X)
	}
	if err != nil {
		return err
	}
	if err := st.checkInput(f.input, in, fullModel, i); err != nil {
		return err
	}
	return st.checkStream(f.stream, "before "+in.String(), fullModel, i)
}

// fit is what the layers that read one input are fitted by, from [State.Fit] until they are
// solved.
type fit struct {
	drift   []float32                 // Σ (x − x̂)·x̂ᵀ [n × n], which W times is the E of a layer; nil: missing has each layer's own
	missing map[llama.Which][]float32 // E of each layer [out × n]
	judges  struct {                  // the windows that are left out of the sums
		tokens  int
		input   []float32                 // x̂ [tokens × n]
		drift   []float32                 // x − x̂ [tokens × n], with fit.drift
		missing map[llama.Which][]float32 // e [tokens × out], with fit.missing
	}
}

const (
	judgeEvery = 12   // one window of so many is left out of the sums, at least
	mostJudged = 2048 // tokens that are left out of the sums, at most
)

// judgeStep is the number of windows of which the last one is left out of the sums.
func judgeStep(windows, tokens int) int {
	return min(windows, max(judgeEvery, shape.CeilDiv(windows*tokens, mostJudged)))
}

// judged reports whether window i is left out of the sums.
func (st *State) judged(i int) bool {
	step := judgeStep(st.Windows, st.Tokens)
	return st.Recipe.Solve.Correct == recipe.CorrectJudged && step > 1 && i%step == step-1
}

// byDrift reports whether the sums of an input are [fit].drift, which is shared by its
// layers: where that is the smaller matrix, and each layer's E follows from it.
func byDrift(c *checkpoint.Config, r *recipe.Recipe, in llama.Input) bool {
	outputs := 0
	for _, l := range in.Readers() {
		out, _ := l.Shape(c)
		outputs += out
	}
	return r.Branch == nil && !toStream(c, r, in) && outputs > in.Width(c)
}

// toStream reports whether the layers that read an input also aim at the residual stream.
func toStream(c *checkpoint.Config, r *recipe.Recipe, in llama.Input) bool {
	if in != llama.OInput && in != llama.DownInput {
		return false
	}
	switch r.Solve.Correct {
	case recipe.CorrectStream:
		return true
	case recipe.CorrectJudged:
		return !c.PostNorm // a norm stands between the layer and the stream
	}
	return false
}

// Fit collects both sides of the normal equations for the layers that read an input: H of
// their input as the integers will see it, and what E is computed from. The layers must
// have been split already.
func (st *State) Fit(ctx context.Context, in llama.Input) error {
	g, n, f := &st.group, in.Width(st.Config), &fit{}
	readers := slices.DeleteFunc(slices.Clone(in.Readers()), func(l llama.Which) bool {
		return st.grid(l).Bits == quant.Full.Weights // stays as it is
	})
	if byDrift(st.Config, st.Recipe, in) {
		f.drift = make([]float32, n*n)
	} else {
		f.missing, f.judges.missing = map[llama.Which][]float32{}, map[llama.Which][]float32{}
		for _, l := range readers {
			f.missing[l] = make([]float32, g.runs[l].residual.Out*n)
		}
	}
	g.fit = f
	clear(g.moments)
	stream := toStream(st.Config, st.Recipe, in)
	var drift, e []float32
	err := st.eachWindow(ctx, func(i int, x []float32) error {
		st.at(PartForward, 0)
		if err := st.Reference.window(st, i, in); err != nil {
			return err
		}
		if len(readers) == 0 {
			return nil // the full-precision model goes on all the same
		}
		v, before, err := st.inputOf(i, x, in)
		if err == nil {
			err = st.checkInput(v, in, quantizedModel, i)
		}
		if err != nil {
			return err
		}
		held := st.judged(i)
		xq, z := g.runs[readers[0]].input(st.Pool, v, st.Tokens) // all of them round the input alike
		st.at(PartMoments, float64(st.Tokens)*float64(n)*float64(n+1))
		drift = shape.Grow(drift, len(xq))
		st.Pool.Run(st.Tokens, func(t int) {
			for k := t * n; k < (t+1)*n; k++ {
				drift[k] = st.Reference.input[k] - xq[k]
			}
		})
		if f.drift != nil {
			if held {
				f.judges.drift = append(f.judges.drift, drift...)
			} else {
				st.gram.AddCross(st.Pool, f.drift, drift, n, xq, n, st.Tokens)
			}
		}
		for l, sum := range f.missing {
			r := g.runs[l]
			out := r.residual.Out
			e = shape.Grow(e, st.Tokens*out)
			if r.branch == nil {
				float.MatMulNT(st.Pool, e, out, drift, n, r.residual.W, n, st.Tokens, out, n, false)
			} else {
				st.missed(e, l, v, xq, z)
			}
			if stream {
				st.Pool.Run(st.Tokens, func(t int) {
					for k := t * out; k < (t+1)*out; k++ {
						e[k] += (st.Reference.stream[k] - before[k]) / st.Config.AddedScale()
					}
					relative(e[t*out:][:out], xq[t*n:][:n], st.Reference.stream[t*out:][:out])
				})
			}
			if held {
				f.judges.missing[l] = append(f.judges.missing[l], e...)
			} else {
				st.gram.AddCross(st.Pool, sum, e, out, xq, n, st.Tokens)
			}
		}
		if held {
			f.judges.tokens += st.Tokens
			f.judges.input = append(f.judges.input, xq...)
		} else {
			st.gram.AddLower(st.Pool, g.moments, n, xq, n, st.Tokens)
		}
		return nil
	})
	float.Mirror(st.Pool, g.moments, n)
	return err
}

// relative divides a token's errors e and the input x that they belong to by the root mean
// square of its residual stream: what the next norm makes of an error depends on the stream's
// size. The first tokens of a text have streams a hundred times as large as others; without
// this they decide what all tokens get.
func relative(e, x, stream []float32) {
	rms := math.Sqrt(float.SumSquares(stream) / float64(len(stream)))
	if !(rms > 0) {
		return
	}
	for _, row := range [][]float32{e, x} {
		for k, v := range row {
			row[k] = float32(float64(v) / rms)
		}
	}
}

// missed writes to e [tokens × out] the full-precision layer's output on its own input, less
// that of the split layer on v, which is rounded to xq and has the coefficients z.
func (st *State) missed(e []float32, l llama.Which, v, xq, z []float32) {
	r, full := st.group.runs[l], &st.Reference.Block.Linears[l]
	out, n := r.residual.Out, r.residual.In
	y := make([]float32, len(e))
	r.product(st.Pool, y, v, xq, z, st.Tokens)
	float.MatMulNT(st.Pool, e, out, st.Reference.input, n, full.W, n, st.Tokens, out, n, false)
	for k := range e {
		e[k] -= y[k]
	}
}

// correct fits the weights of a layer before they are rounded. What counts as the exact
// output in the report is that of the fitted weights from here on: a fitted layer makes up
// for errors of others, which are not errors of its own.
func (st *State) correct(l llama.Which, run *runLinear, report *artefact.Layer) {
	f, d := st.group.fit, run.residual
	step := f.missing[l]
	if step == nil {
		step = make([]float32, d.Out*d.In)
		float.MatMulNN(st.Pool, step, d.In, d.W, d.In, f.drift, d.In, d.Out, d.In, d.In, false)
	}
	st.group.factor.Solve(st.Pool, step, d.Out)
	if report.Uncorrected = tooFar(step, d.W); report.Uncorrected {
		return
	}
	strength := float32(1)
	if st.Recipe.Solve.Correct == recipe.CorrectJudged {
		strength = st.strength(l, d.W, step, d.Out, d.In)
		report.Strength = &strength
	}
	for k := range step {
		step[k] *= strength
		d.W[k] += step[k]
	}
	if stats := st.Stats[l.Input()]; stats != nil {
		float.MatMulNT(st.Pool, st.exact[l], d.Out, stats.Sample, d.In, step, d.In, stats.SampleTokens(), d.Out, d.In, true)
	}
}

// strength is the λ from 0 to 1 with which step [out × n], added to the weights, leaves the
// least error in the windows that were left out of the sums; to a thousandth.
func (st *State) strength(l llama.Which, w, step []float32, out, n int) float32 {
	j := &st.group.fit.judges
	if j.tokens == 0 {
		return 0 // nothing says that the fit helps other text
	}
	missing := j.missing[l]
	if missing == nil {
		missing = make([]float32, j.tokens*out)
		float.MatMulNT(st.Pool, missing, out, j.drift, n, w, n, j.tokens, out, n, false)
	}
	gain := make([]float32, j.tokens*out)
	float.MatMulNT(st.Pool, gain, out, j.input, n, step, n, j.tokens, out, n, false)
	var both, square float64
	for k, v := range gain {
		both += float64(v) * float64(missing[k])
		square += float64(v) * float64(v)
	}
	if !(both > 0) {
		return 0
	}
	return float32(math.Round(1000*min(1, both/square)) / 1000)
}

// tooFar reports whether a step would change the weights by more than [MostCorrection].
func tooFar(step, w []float32) bool { return !(norm(step) <= MostCorrection*norm(w)) }

func norm(x []float32) float64 { return math.Sqrt(float.SumSquares(x)) }

// MostCorrection is the largest change that is made to a layer's weights before they are
// rounded, relative to their norm. Where the least-squares change is larger, it comes from
// inputs that are nearly zero and would amplify their noise, and is not made. In models that
// work it is well below one.
const MostCorrection = 10

// AdvanceReference runs the full-precision model's activations through block i: as it was
// smoothed and rotated, if layers are fitted, otherwise as loaded from the checkpoint. After the
// last input of a block has been fitted there is nothing left to do.
func (st *State) AdvanceReference(ctx context.Context, ck *checkpoint.Checkpoint, i int) error {
	f := st.Reference
	if f.advanced {
		f.advanced = false
		return nil
	}
	if st.Recipe.Solve.Correct == "" {
		if err := st.Rotation.Load(st.Pool, ck, i, &f.Block); err != nil {
			return err
		}
		return st.advance(ctx, f.Inputs, f.runner, f.Block.Block(), llama.Hooks{})
	}
	b := f.Block.Block()
	st.setTransforms(b)
	return st.advance(ctx, f.Inputs, f.runner, b, llama.Hooks{})
}

// fitBytes is the memory that fitting holds: of the input where it is most, the sums, what
// the windows that are left out gave, and what one window gives; then, while a layer is
// fitted, its step, the work on it, and its outputs in the windows that are left out.
func fitBytes(c *checkpoint.Config, r *recipe.Recipe, windows, tokens, threads int) (most int64) {
	t, judged := int64(tokens), int64(0)
	if step := judgeStep(windows, tokens); r.Solve.Correct == recipe.CorrectJudged && step > 1 {
		judged = int64(windows/step) * t
	}
	for in := range llama.NumInputs {
		n, outputs, widest := int64(in.Width(c)), int64(0), int64(0)
		for _, l := range in.Readers() {
			out, _ := l.Shape(c)
			outputs, widest = outputs+int64(out), max(widest, int64(out))
		}
		sums, kept, left := n*outputs, judged*(n+outputs), n
		work := widest*n + judged*widest
		if byDrift(c, r, in) {
			sums, kept = n*n, 2*judged*n
			work += widest*n + judged*widest
		} else {
			left = widest
		}
		once := t*(2*n+2*widest+2*int64(c.HiddenSize)) + integer.CrossBytes(int(left), int(n), tokens, threads)/4
		most = max(most, 4*(sums+kept+max(once, work)))
	}
	return most
}
