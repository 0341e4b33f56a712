package layerbench

import (
	"context"
	"fmt"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// LoneLayer is the result of a recipe on a [Synthetic] layer. Everything except time and
// memory is the same with any number of threads.
type LoneLayer struct {
	Recipe  string   `json:"recipe"`
	Bits    string   `json:"bits"`
	LeftOut []string `json:"left_out,omitempty"` // parts of the recipe that do not apply to a single layer
	Out     int      `json:"out"`
	In      int      `json:"in"`
	Tokens  int      `json:"tokens"`
	HeldOut int      `json:"held_out_tokens"`

	Error         float64 `json:"error"`           // ‖y − y'‖/‖y‖ on the held-out tokens, computed as at run time
	SampleError   float64 `json:"sample_error"`    // the same on a sample of the calibration tokens; 0: the recipe needs no calibration
	BitsPerWeight float64 `json:"bits_per_weight"` // everything stored, including a basis of the input
	Components    float64 `json:"components"`      // of the branch: complex components or vectors, averaged over the channels
	Smoothing     string  `json:"smoothing,omitempty"`
	Damp          float64 `json:"damp,omitempty"`

	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds,omitempty"` // of all threads; 0: not known on this system
	Peak    int64   `json:"peak_bytes"`            // Go heap at its peak, garbage and the layer's weights included, the tokens not
	Stages  []Stage `json:"stages"`

	// Speed of the float32 and float64 products, measured before and after, if asked for.
	Product32 ProductRate `json:"matmul_float32"`
	Product64 ProductRate `json:"matmul_float64"`
}

// Weights is the number of weights.
func (l *LoneLayer) Weights() float64 { return float64(l.Out) * float64(l.In) }

// LoneRecipe returns the parts of a recipe that apply to a single layer that reads the
// output of a norm, and the names of the other parts, which need a model.
func LoneRecipe(r *recipe.Recipe) (lone *recipe.Recipe, leftOut []string) {
	c := *r
	drop := func(has bool, name string) {
		if has {
			leftOut = append(leftOut, name)
		}
	}
	drop(r.Solve.Correct != "", "correct")
	drop(r.Tune != nil, "tune")
	drop(r.Distil != nil, "distil")
	drop(r.Learn != nil, "learn")
	drop(r.Rotate != nil && r.Rotate.Learn != nil, "rotate.learn")
	drop(len(r.Weights.Layers) > 0, "weights.layers")
	drop(r.Weights.Average > 0, "weights.average")
	c.Solve.Correct, c.Tune, c.Distil, c.Learn = "", nil, nil, nil
	c.Weights.Layers, c.Weights.Average, c.Weights.Widths = nil, 0, nil
	// The layer takes the place of down, the only input that is read by a single layer and
	// whose scales are folded into a diagonal before it.
	if s := r.Smooth; s != nil {
		c.Smooth = nil
		if s.Has(llama.AttnInput) {
			t := *s
			t.Inputs = nil
			c.Smooth = &t
		}
	}
	if b := r.Branch; b != nil {
		c.Branch = nil
		if b.Has(llama.AttnInput) {
			t := *b
			t.Inputs = nil
			c.Branch = &t
		}
	}
	if o := r.Rotate; o != nil {
		c.Rotate = nil
		// R1, folded into a model, changes the input like a run-time transform.
		if o.Residual != "" || o.Attn != "" {
			c.Rotate = &recipe.Rotate{Down: artefact.Hadamard, Seed: o.Seed}
		}
	}
	c.Calibration.Propagate = "runtime" // the layer is measured as it will run
	return &c, leftOut
}

// Quantize applies the stages of a recipe to the layer, as a job would, and measures the
// result on the held-out tokens.
func (s *Synthetic) Quantize(ctx context.Context, p *parallel.Pool, recipe *recipe.Recipe) (*LoneLayer, error) {
	r, leftOut := LoneRecipe(recipe)
	res := &LoneLayer{Recipe: r.Name, Bits: r.Bits.String(), LeftOut: leftOut, Out: s.Out, In: s.In, Tokens: s.Tokens, HeldOut: s.HeldOut}
	speed := newProductMeter(min(s.Out, 2048), min(s.In, 2048))
	if s.Speed {
		speed.measure(p)
	}
	peak := watchHeap()
	start, cpu := time.Now(), meter.CPUSeconds()
	clock := meter.New(stage.PartFactor)
	st, quantized, report, err := s.quantize(ctx, p, r, clock)
	res.Seconds, res.Peak = time.Since(start).Seconds(), peak.stop()
	res.CPU = meter.CPUSeconds() - cpu
	if err != nil {
		return nil, fmt.Errorf("recipe %s: %w", r.Name, err)
	}
	if s.Speed {
		speed.measure(p)
	}
	res.Product32, res.Product64 = mean(speed.rate32), mean(speed.rate64)
	res.Stages = clock.Parts()
	res.SampleError, res.BitsPerWeight, res.Smoothing, res.Damp = report.Error, report.BitsPerWeight, report.Alpha, report.Damp
	res.Components = components(quantized.Branch)
	res.Error = s.heldOutError(st)
	return res, nil
}

func (s *Synthetic) quantize(ctx context.Context, p *parallel.Pool, r *recipe.Recipe, clock *meter.Meter) (*stage.State, *artefact.Linear, *artefact.Layer, error) {
	fail := func(err error) (*stage.State, *artefact.Linear, *artefact.Layer, error) { return nil, nil, nil, err }
	st, err := newState(s, p, r)
	if err != nil {
		return fail(err)
	}
	st.Clock = clock
	const in = llama.DownInput
	if st.Windows > 0 && r.Smooth != nil {
		clock.At(stage.PartStatistics, 0)
		if err := st.Gather(ctx, in, nil); err != nil {
			return fail(err)
		}
		clock.At(stage.PartSmoothing, searchWork(st))
		if err := st.SmoothInput(ctx, in); err != nil {
			return fail(err)
		}
	}
	clock.At(stage.PartRotation, 0)
	st.FoldRotation()
	for _, step := range stage.InputSteps(st.Config, r, 0, in, 0, st.Windows > 0) {
		if err := st.Do(ctx, step); err != nil {
			return fail(err)
		}
	}
	clock.Stop()
	return st, st.Quantized[llama.Down], &st.Reports[llama.Down], nil
}

// newState makes a state whose block has only this layer.
func newState(s *Synthetic, p *parallel.Pool, r *recipe.Recipe) (*stage.State, error) {
	c := &checkpoint.Config{HiddenSize: s.Out, IntermediateSize: s.In, Layers: 1, Heads: 1, KVHeads: 1, HeadDim: 1}
	windows, tokens := 0, 0
	if r.NeedsCalibration() {
		windows, tokens = s.Tokens/s.window, s.window
	}
	st, err := stage.NewLayer(c, r, p, windows, tokens)
	if err != nil {
		return nil, err
	}
	st.Begin(0)
	st.Source = s.feed(st)
	st.Block.Linears[llama.Down] = llama.Dense{Out: s.Out, In: s.In, W: append([]float32(nil), s.weights...)}
	ones := make([]float32, s.In)
	for i := range ones {
		ones[i] = 1
	}
	st.Block.Linears[llama.Up] = llama.Dense{Out: s.In, In: 1, W: ones}
	return st, nil
}

// searchWork is the number of floating-point operations in the matrix products of a search
// for λ: the exact outputs, and those to compare, with the branch.
func searchWork(st *stage.State) float64 {
	d, samples := &st.Block.Linears[llama.Down], min(stage.SampleTokens, st.Windows*st.Tokens)
	product := 2 * float64(samples) * float64(d.Out) * float64(d.In)
	switch s := st.Recipe.Smooth; {
	case s.Method == recipe.SmoothAWQ:
		return product * float64(1+len(stage.AWQRatios()))
	case len(s.Alpha) < 2:
		return 0
	case st.Recipe.Branch != nil && (!st.Recipe.Branch.Stored() || st.Recipe.Branch.Iterated()):
		return product * float64(1+2*len(s.Alpha))
	default:
		return product * float64(1+len(s.Alpha))
	}
}

// heldOutError is the error of the finished layer on the held-out tokens.
func (s *Synthetic) heldOutError(st *stage.State) float64 {
	run := st.Runtime(llama.Down)
	x, y := make([]float32, len(s.heldOut)), make([]float32, len(s.exact))
	s.given(st, x, s.heldOut)
	run.Forward(st.Pool, y, x, s.HeldOut)
	return stage.Relative(s.exact, y)
}

// components is the mean number of components or basis vectors of a channel.
func components(b *artefact.Branch) float64 {
	switch {
	case b == nil:
		return 0
	case b.Subspace != nil:
		return float64(b.Subspace.Count)
	}
	sum := 0
	kept := b.Spectrum().Kept
	for _, k := range kept {
		sum += k
	}
	return float64(sum) / float64(len(kept))
}
