package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/method"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
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

	stats   [llama.NumInputs]*method.Stats
	hessian []float64 // of the widest input

	// Scratch for the largest layer [out × in], and for its outputs and inputs
	// on the sample [sampleTokens × …].
	weights, weights2 []float32
	q                 []int8
	ref, got, xhat    []float32
	xq                []float32
	acts              kernel.Activations

	stage func(string) // tells what is being done
}

func newWorker(c *checkpoint.Config, r *method.Recipe, p *kernel.Pool, windows, tokens int) *worker {
	w := &worker{config: c, recipe: r, pool: p, windows: windows, tokens: tokens, stage: func(string) {}}
	layer, out, in := largest(c)
	w.weights, w.weights2, w.q = make([]float32, layer), make([]float32, layer), make([]int8, layer)
	if windows == 0 {
		return w
	}
	w.runner = llama.NewRunner(c, p, tokens)
	n := min(sampleTokens, windows*tokens)
	for i := range llama.NumInputs {
		w.stats[i] = method.NewStats(i.Width(c), windows*tokens, n)
	}
	w.ref, w.got = make([]float32, n*out), make([]float32, n*out)
	w.xhat, w.xq = make([]float32, n*in), make([]float32, n*in)
	if r.Solve.Method == "gptq" {
		w.hessian = make([]float64, in*in)
	}
	return w
}

// largest returns the weights of the largest layer, and the widest output and input.
func largest(c *checkpoint.Config) (weights, out, in int) {
	for l := range llama.NumLinears {
		o, i := l.Shape(c)
		weights, out, in = max(weights, o*i), max(out, o), max(in, i)
	}
	return weights, out, in
}

// pass runs the calibration windows through the block, as it now stands, to
// the tap. With keep, the block's output becomes the stored activations.
func (w *worker) pass(ctx context.Context, tap func(in llama.Input, x []float32, tokens, width int) bool, keep bool) error {
	b := w.block.Block()
	for i := range w.windows {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := w.x.get(i)
		if err != nil {
			return err
		}
		if !keep { // the block works in place
			w.runner.X = append(w.runner.X[:0], x...)
			x = w.runner.X
		}
		w.runner.Block(b, x, w.tokens, llama.Hooks{Tap: tap})
		if keep {
			if err := w.x.put(i, x); err != nil {
				return err
			}
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
			if failed = w.stats[in].Add(x, tokens); failed != nil {
				var bad *method.NonFiniteError
				if errors.As(failed, &bad) {
					failed = fmt.Errorf("input of %s: calibration window %d, token %d, channel %d is %v; the checkpoint or the text before it is damaged",
						in, bad.Token/w.tokens, bad.Token%w.tokens, bad.Channel, bad.Value)
				}
			}
		}
		if hessian != nil && failed == nil {
			w.pool.SyrkTN(hessian, width, x, width, tokens)
		}
		return failed == nil && (only < 0 || in != only)
	}, false)
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
		if err := w.gather(ctx, -1, nil); err != nil {
			return fail(err)
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
	for in := range llama.NumInputs {
		w.stage(in.String())
		var factor *method.Factor
		if w.windows > 0 {
			n := in.Width(w.config)
			var h []float64
			if w.recipe.Solve.Method == "gptq" {
				h = w.hessian[:n*n]
			}
			if err := w.gather(ctx, in, h); err != nil {
				return fail(err)
			}
			for _, l := range in.Readers() {
				_, reports[l].Peak = artefact.Outliers(w.stats[in].AbsMax)
			}
			if h != nil {
				var err error
				if factor, err = method.NewFactor(w.pool, h, n, w.recipe.Solve); err != nil {
					return fail(fmt.Errorf("input of %s: %w", in, err))
				}
			}
		}
		for _, l := range in.Readers() {
			if err := ctx.Err(); err != nil {
				return fail(err)
			}
			var err error
			start := time.Now()
			if out[l], err = w.layer(l, factor, &reports[l]); err != nil {
				return fail(fmt.Errorf("%s: %w", l, err))
			}
			reports[l].Seconds = time.Since(start).Seconds()
		}
	}
	return out, reports, nil
}

// grid is the grid of the recipe's weights.
func (w *worker) grid() quant.Grid {
	return quant.Grid{Bits: w.recipe.Bits.Weights, Group: w.recipe.Weights.Group}
}

// layer quantizes one linear layer.
func (w *worker) layer(l llama.Which, factor *method.Factor, report *artefact.Layer) (*artefact.Linear, error) {
	d := &w.block.Linears[l]
	n := d.Out * d.In
	stats := w.stats[l.Input()]
	var samples int
	if stats != nil {
		samples = stats.SampleTokens()
		w.pool.MatMulNT(w.ref, d.Out, stats.Sample, d.In, d.W, d.In, samples, d.Out, d.In, false)
	}
	var branch *spectrum.Branch
	if b := w.recipe.Branch; b != nil {
		var err error
		if branch, err = b.Spectral(d.W, d.Out, d.In, stats.Act(nil), w.pool.Run); err != nil {
			return nil, err
		}
		// The same without the branch, for the report.
		quantized, _, err := w.solve(d, nil, factor)
		if err != nil {
			return nil, err
		}
		report.ErrorNoBranch = w.outputError(quantized, stats.Sample, samples)
	}
	quantized, clipped, err := w.solve(d, branch, factor)
	if err != nil {
		return nil, err
	}
	report.Clipped = clipped
	if stats != nil {
		report.Error = w.outputError(quantized, stats.Sample, samples)
		if branch == nil {
			report.ErrorNoBranch = report.Error
		}
	}
	report.BitsPerWeight = quantized.StoredBits()
	if factor != nil {
		report.Damp, report.DeadChannels = factor.Damp, factor.Dead
	}
	energy := kernel.SumSquares(d.W)
	quantized.Dense(d.W, w.pool.Run)
	if branch != nil && energy > 0 {
		kept := w.weights[:n]
		clear(kept)
		branch.AddTo(kept, 1, w.pool.Run)
		report.EnergyKept = kernel.SumSquares(kept) / energy
	}
	return quantized, nil
}

// solve quantizes d's weights less the branch, and says which share of them
// lies beyond the grid.
func (w *worker) solve(d *llama.Dense, branch *spectrum.Branch, factor *method.Factor) (*artefact.Linear, float64, error) {
	n := d.Out * d.In
	residual, q, g := w.weights[:n], w.q[:n], w.grid()
	copy(residual, d.W)
	var stored *artefact.Branch
	if branch != nil {
		branch.AddTo(residual, -1, w.pool.Run)
		stored = artefact.NewBranch(branch, w.recipe.Branch.Truncate)
	}
	scales, err := g.Scales(residual, d.Out, d.In, w.recipe.Weights.Clip, w.pool.Run)
	if err != nil {
		return nil, 0, err
	}
	clipped := beyond(g, residual, scales, d.Out, d.In)
	if factor != nil {
		factor.GPTQ(w.pool, g, q, residual, scales, d.Out)
	} else {
		g.RTN(q, residual, scales, d.Out, d.In, w.pool.Run)
	}
	return artefact.NewLinear(g, q, scales, d.Out, d.In, stored, d.Bias), clipped, nil
}

// outputError is ‖y − y'‖/‖y‖ of a quantized layer on x [samples × in], its
// activations quantized as at run time, against the outputs in w.ref.
func (w *worker) outputError(l *artefact.Linear, x []float32, samples int) float64 {
	n := l.Out * l.In
	residual := w.weights[:n]
	l.Residual(residual, w.pool.Run)
	var kept []float32
	if l.Branch != nil {
		kept = w.weights2[:n]
		clear(kept)
		l.Branch.Spectrum().AddTo(kept, 1, w.pool.Run)
	}
	w.emulate(residual, kept, x, samples, l.Out, l.In)
	return relative(w.ref[:samples*l.Out], w.got[:samples*l.Out])
}

// emulate writes to w.got what the runtime computes, in float32:
// residual·Q(x) + kept·x.
func (w *worker) emulate(residual, kept, x []float32, samples, out, in int) {
	xq := x
	if bits := w.recipe.Bits.Activations; bits < 16 {
		w.acts.Quantize(w.pool, x, in, samples, in, bits, 0, float32(w.recipe.Activations.Clip))
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
	w.pool.MatMulNT(w.ref, d.Out, stats.Sample, d.In, d.W, d.In, samples, d.Out, d.In, false)
	g, n := w.grid(), d.Out*d.In
	scales, err := g.Scales(d.W, d.Out, d.In, quant.ClipNone, w.pool.Run)
	if err != nil {
		return 0, err
	}
	g.RTN(w.q[:n], d.W, scales, d.Out, d.In, w.pool.Run)
	g.Dequantize(w.weights[:n], w.q[:n], scales, d.Out, d.In, w.pool.Run)
	w.emulate(w.weights[:n], nil, stats.Sample, samples, d.Out, d.In)
	return relative(w.ref[:samples*d.Out], w.got[:samples*d.Out]), nil
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
