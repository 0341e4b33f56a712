package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
	"github.com/specquant/specquant/internal/quant"
)

// sampleTokens is the number of calibration tokens on which α is searched and
// errors are reported.
const sampleTokens = 512

// worker quantizes blocks, one after the other, in memory that it keeps.
type worker struct {
	config *checkpoint.Config
	recipe *method.Recipe
	pool   *kernel.Pool
	runner *llama.Runner

	block   llama.DenseBlock
	windows int // of calibration; 0: none is needed
	tokens  int // of a window
	x       *store

	rotation *rotation
	rotated  bool                         // the loaded block has the rotation folded in
	runs     [llama.NumLinears]*runLinear // layers that calibration sees as they will run
	ref      *reference                   // nil: nothing is fitted

	unrounded [llama.NumLinears][]float32    // what was rounded, for tuning
	goals     *store                         // what the full-precision block gives; nil: nothing is learned
	moments   *method.KeyMoments             // of the loaded block, while they are gathered
	steps     [llama.NumLinears]*quant.Steps // learned scales of the loaded block; nil: none
	turns     blockTurns                     // of the loaded block

	stats   [llama.NumInputs]*method.Stats
	hessian []float64 // of the widest input

	// Scratch for the largest layer [out × in], and for its outputs and inputs
	// on the sample [sampleTokens × …].
	weights, weights2 []float32
	q                 []int8
	want, got, xhat   []float32
	xq                []float32
	exact             [llama.NumLinears][]float32 // outputs on the sample before anything is done to a layer
	acts              kernel.Activations
	run               runScratch

	source func(ctx context.Context, tap tap) error // of a layer that stands alone; nil: the block gives each input
	clock  *clock                                   // nil: nobody asks where the time goes

	prefix string       // of the loaded block's names
	stage  func(string) // tells what is being done
}

func newWorker(c *checkpoint.Config, r *method.Recipe, p *kernel.Pool, windows, tokens int) (*worker, error) {
	w := &worker{config: c, recipe: r, pool: p, windows: windows, tokens: tokens, stage: func(string) {}}
	var err error
	if w.rotation, err = newRotation(r, c); err != nil {
		return nil, err
	}
	layer, out, in := largest(c)
	w.hold(layer, out, in, llama.AttnInput, llama.OInput, llama.MLPInput, llama.DownInput)
	if windows == 0 {
		return w, nil
	}
	if r.Fitting() {
		w.ref = &reference{runner: llama.NewRunner(c, p, tokens)}
	}
	w.runner = llama.NewRunner(c, p, tokens)
	return w, nil
}

// hold makes the memory for layers of at most so many weights, outputs and inputs,
// and for what calibration tells of some of the inputs.
func (w *worker) hold(layer, out, in int, inputs ...llama.Input) {
	w.weights, w.weights2, w.q = make([]float32, layer), make([]float32, layer), make([]int8, layer)
	if w.windows == 0 {
		return
	}
	tokens := w.windows * w.tokens
	n := min(sampleTokens, tokens)
	for _, i := range inputs {
		w.stats[i] = method.NewStats(i.Width(w.config), tokens, n)
	}
	w.want, w.got = make([]float32, n*out), make([]float32, n*out)
	w.xhat, w.xq = make([]float32, n*in), make([]float32, n*in)
	if w.recipe.NeedsHessian() {
		w.hessian = make([]float64, in*in)
	}
}

// largest returns the weights of the largest layer, and the widest output and input.
func largest(c *checkpoint.Config) (weights, out, in int) {
	for l := range llama.NumLinears {
		o, i := l.Shape(c)
		weights, out, in = max(weights, o*i), max(out, o), max(in, i)
	}
	return weights, out, in
}

// eachWindow hands fn a copy of every calibration window's activations.
func (w *worker) eachWindow(ctx context.Context, fn func(i int, x []float32) error) error {
	return w.eachOf(ctx, w.x, fn)
}

// eachOf does the same with other activations.
func (w *worker) eachOf(ctx context.Context, s *store, fn func(i int, x []float32) error) error {
	for i := range w.windows {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := s.get(i)
		if err != nil {
			return err
		}
		w.runner.X = append(w.runner.X[:0], x...)
		if err := fn(i, w.runner.X); err != nil {
			return err
		}
	}
	return nil
}

// tap is told of what an input of the block is given, x [tokens × width], and says
// whether the window goes on.
type tap = func(in llama.Input, x []float32, tokens, width int) bool

// pass runs the calibration windows through the block, as it now stands, to
// the tap; or what the source of a layer without a block gives.
func (w *worker) pass(ctx context.Context, tap tap) error {
	if w.source != nil {
		return w.source(ctx, tap)
	}
	b := w.runnable()
	return w.eachWindow(ctx, func(_ int, x []float32) error {
		w.runner.Block(b, x, w.tokens, llama.Hooks{Tap: tap, KV: w.cacheHook(), QK: w.momentsHook()})
		return nil
	})
}

// momentsHook gathers the moments of queries and keys, where somebody wants them.
func (w *worker) momentsHook() func(q, k []float32, tokens int) {
	m := w.moments
	if m == nil {
		return nil
	}
	return func(q, k []float32, tokens int) { m.Add(w.pool, q, k, tokens) }
}

// advance runs stored activations through a block: they become the next
// block's input.
func (w *worker) advance(ctx context.Context, s *store, r *llama.Runner, b *llama.Block, h llama.Hooks) error {
	model := quantizedModel
	if w.ref != nil && s == w.ref.x {
		model = fullModel
	}
	for i := range w.windows {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := s.get(i)
		if err != nil {
			return err
		}
		if err := w.checkStream(x, w.before(), model, i); err != nil {
			return err // before the attention spreads it over other tokens
		}
		r.Block(b, x, w.tokens, h)
		if err := w.checkStream(x, w.behind(), model, i); err != nil {
			return err
		}
		if err := s.put(i, x); err != nil {
			return err
		}
	}
	return nil
}

// gather collects the statistics of one input, or of all where only is < 0, and
// the Hessian if there is a matrix for it.
func (w *worker) gather(ctx context.Context, only llama.Input, hessian []float64) error {
	var failed error
	for i := range llama.NumInputs {
		if only < 0 || i == only {
			w.stats[i].Reset()
		}
	}
	clear(hessian)
	err := w.pass(ctx, func(in llama.Input, x []float32, tokens, width int) bool {
		if only >= 0 && in != only {
			return true
		}
		if failed == nil {
			failed = nonFinite(w.stats[in].Add(x, tokens), "input of "+in.String(), quantizedModel, 0, w.tokens)
		}
		if hessian != nil && failed == nil {
			w.pool.SyrkTN(hessian, width, x, width, tokens)
		}
		return failed == nil && (only < 0 || in != only)
	})
	return errors.Join(err, failed)
}

// quantize replaces each linear layer of the loaded block by what its
// quantized form stands for, and returns the quantized layers.
func (w *worker) quantize(ctx context.Context) ([llama.NumLinears]*artefact.Linear, []artefact.Layer, error) {
	var out [llama.NumLinears]*artefact.Linear
	reports := make([]artefact.Layer, llama.NumLinears)
	for l := range llama.NumLinears {
		reports[l].Name = l.String()
	}
	fail := func(err error) ([llama.NumLinears]*artefact.Linear, []artefact.Layer, error) { return out, nil, err }
	if w.windows > 0 {
		w.stage("statistics")
		if transforms(w.recipe).Cache == artefact.Balanced {
			w.moments = method.NewKeyMoments(w.config.Heads, w.config.KVHeads, w.config.HeadDim)
		}
		if err := w.gather(ctx, -1, nil); err != nil {
			return fail(err)
		}
		if m := w.moments; m != nil {
			w.moments = nil
			if err := w.balance(m); err != nil {
				return fail(fmt.Errorf("keys: %w", err))
			}
		}
		for l := range llama.NumLinears {
			e, err := w.roundingError(l)
			if err != nil {
				return fail(fmt.Errorf("%s: %w", l, err))
			}
			reports[l].ErrorRTN = e
			reports[l].Outliers, _ = artefact.Outliers(w.stats[l.Input()].AbsMax)
		}
		if w.recipe.Smooth != nil {
			w.stage("smoothing")
			if err := w.smooth(ctx, reports); err != nil {
				return fail(err)
			}
		}
	}
	w.foldRotation()
	if w.recipe.Learn != nil {
		if err := w.learn(ctx); err != nil {
			return fail(err)
		}
	}
	if w.ref != nil {
		w.ref.keep(&w.block)
	}
	for in := range llama.NumInputs {
		w.stage(in.String())
		if err := w.input(ctx, in, &out, reports); err != nil {
			return fail(err)
		}
	}
	reports[llama.K].BitsPerWeight += w.keyBits()
	return out, reports, nil
}

// grid is the grid of a layer's weights.
func (w *worker) grid(l llama.Which) quant.Grid {
	return quant.Grid{Bits: w.recipe.LayerBits(w.prefix + l.String()), Group: w.recipe.Weights.Group, Zero: w.recipe.Weights.Zero}
}

// emulate writes to w.got what the runtime computes, in float32:
// residual·Q(x) + kept·x.
func (w *worker) emulate(residual, kept, x []float32, samples, out, in int) {
	xq := x
	if grid := w.recipe.ActGrid(); grid.Bits < quant.Full.Activations {
		w.acts.Quantize(w.pool, x, in, samples, in, grid, 0)
		xq = w.xq[:samples*in]
		w.acts.Dequantize(xq, in)
	}
	w.pool.MatMulNT(w.got, out, xq, in, residual, in, samples, out, in, false)
	if kept != nil {
		w.pool.MatMulNT(w.got, out, x, in, kept, in, samples, out, in, true)
	}
}

// roundingError is the output error of plain rounding of the layer as it
// stands, the yardstick of the report.
func (w *worker) roundingError(l llama.Which) (float64, error) {
	d, stats := &w.block.Linears[l], w.stats[l.Input()]
	samples := stats.SampleTokens()
	w.pool.MatMulNT(w.want, d.Out, stats.Sample, d.In, d.W, d.In, samples, d.Out, d.In, false)
	g, n := w.grid(l), d.Out*d.In
	if g.Bits == quant.Full.Weights {
		return 0, nil
	}
	scales, err := g.Scales(d.W, d.Out, d.In, quant.ClipNone, w.pool.Run)
	if err != nil {
		return 0, err
	}
	g.RTN(w.q[:n], d.W, scales, d.Out, d.In, w.pool.Run)
	g.Dequantize(w.weights[:n], w.q[:n], scales, d.Out, d.In, w.pool.Run)
	w.emulate(w.weights[:n], nil, stats.Sample, samples, d.Out, d.In)
	return relative(w.want[:samples*d.Out], w.got[:samples*d.Out]), nil
}

// relative is ‖a − b‖/‖a‖.
func relative(a, b []float32) float64 {
	var diff, norm float64
	for i, v := range a {
		d := float64(v) - float64(b[i])
		diff += d * d
		norm += float64(v) * float64(v)
	}
	if norm == 0 {
		return 0
	}
	return math.Sqrt(diff / norm)
}
