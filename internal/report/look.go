package report

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/calibration"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
	"github.com/specquant/specquant/internal/tokenizer"
)

// LookOptions describe a short run of a model in full precision.
type LookOptions struct {
	Pool        *parallel.Pool
	Calibration []string // text files; none: the embedded text
	Windows     int      // largest number of windows; 0: 4
	Tokens      int      // largest number of tokens in a window; 0: 256
	Pictures    bool     // also compute energy curves and surfaces
	Shuffles    int      // for the control of the energy curves; 0: 2
	Progress    func(block, blocks int)

	// Of is the quantized model, or nil. It provides the smoothing strength of each input;
	// the errors of its layers are measured if the job has not measured them.
	Of *Subject
}

// Look is what a short run of a model in full precision measured.
type Look struct {
	Source          string // of the calibration text
	Windows, Tokens int
	Inputs          []Input // block by block, in the order of inputsOf
	Energy          *EnergyCurves
	Surfaces        []Surface
}

// Input describes the input of linear layers over the tokens of a [Look].
type Input struct {
	Block    int
	Input    llama.Input
	Expert   int     // whose input of down it is; −1: no single one's
	Tokens   int     // that came to it; 0: nothing is known
	Peak     float64 // largest channel's |x| relative to the median channel's
	After    float64 // the same after smoothing by Alpha
	Alpha    recipe.Alpha
	Outliers []artefact.Outlier // before smoothing
	Dead     []int              // channels that are always 0, at most 8
}

// LayerError is the error of a quantized layer's output on the inputs of the full-precision
// model, relative to the output's norm.
type LayerError struct {
	Total       float64
	Weights     float64 // the weights' part: activations not quantized
	Activations float64 // the activations' part: for the layer with its quantized weights
	// Channels are the fewest input channels with half of the energy of the weights' error,
	// treating inputs as uncorrelated, worst first. nil: there are more than maxHeavy.
	Channels []int
}

// maxHeavy is the largest number of channels in which an error counts as concentrated.
const maxHeavy = 8

// looker is the state of a look.
type looker struct {
	LookOptions
	ck      *checkpoint.Checkpoint
	look    *Look
	set     *calibration.Set
	x       [][]float32 // the residual stream of each window between blocks
	runner  *llama.Runner
	block   llama.DenseBlock
	stats   [llama.NumInputs]*stage.Stats
	lambda  [llama.NumInputs][]float32 // of the current block, with the job's smoothing
	experts []expertLook               // of the current block
	surface [2]*candidate
}

// LookAt runs the checkpoint over a few windows of text, block by block.
func LookAt(ctx context.Context, ck *checkpoint.Checkpoint, o LookOptions) (*Look, error) {
	if ck.Config.Quantization != nil {
		return nil, fmt.Errorf("%s: is quantized, expected the checkpoint in full precision", ck.Dir)
	}
	if err := ck.Check(); err != nil {
		return nil, err
	}
	k := &looker{LookOptions: o, ck: ck}
	if err := k.begin(ctx); err != nil {
		return nil, err
	}
	for i := range ck.Config.Layers {
		if err := k.one(ctx, i); err != nil {
			return nil, fmt.Errorf("%s: block %d: %w", ck.Dir, i, err)
		}
		if o.Progress != nil {
			o.Progress(i+1, ck.Config.Layers)
		}
	}
	if k.look.Energy != nil {
		k.look.Energy.finish()
	}
	for _, c := range k.surface {
		if c != nil {
			k.look.Surfaces = append(k.look.Surfaces, c.draw())
		}
	}
	return k.look, nil
}

func (k *looker) begin(ctx context.Context) error {
	c := &k.ck.Config
	if s := k.Of; s != nil {
		if !sameShape(c, s.Config) {
			return fmt.Errorf("%s: differs in shape from %s and cannot be the model that it was made from", k.ck.Dir, s.Dir)
		}
	}
	tok, err := tokenizer.Load(k.ck.Dir)
	if err != nil {
		return err
	}
	texts, err := calibration.ReadFiles(ctx, k.Calibration)
	if err != nil {
		return err
	}
	if k.Windows == 0 {
		k.Windows = 4
	}
	if k.Tokens == 0 {
		k.Tokens = 256
	}
	if k.Shuffles == 0 {
		k.Shuffles = 2
	}
	if k.set, err = calibration.NewSet(tok, texts, k.Windows, min(k.Tokens, c.MaxPositions), 0); err != nil {
		return err
	}
	n := k.set.Tokens
	k.look = &Look{Source: texts[0].Source.Name, Windows: len(k.set.Windows), Tokens: n}
	if k.Pictures {
		k.look.Energy = &EnergyCurves{Shuffles: k.Shuffles}
	}
	for _, ids := range k.set.Windows {
		x := make([]float32, n*c.HiddenSize)
		if err := llama.Embed(k.ck, x, ids); err != nil {
			return err
		}
		k.x = append(k.x, x)
	}
	k.runner = llama.NewRunner(c, k.Pool, n)
	return nil
}

// sameShape reports whether two models have layers of the same shapes.
func sameShape(a, b *checkpoint.Config) bool {
	if a.Layers != b.Layers || a.VocabSize != b.VocabSize {
		return false
	}
	for i := range a.Layers {
		x, y := a.Of(i), b.Of(i)
		if x.Experts.Count != y.Experts.Count {
			return false
		}
		for l := range llama.NumLinears {
			xo, xi := l.Shape(x)
			yo, yi := l.Shape(y)
			if xo != yo || xi != yi {
				return false
			}
		}
	}
	return true
}

// one measures block i and advances the windows past it.
func (k *looker) one(ctx context.Context, i int) error {
	if err := llama.LoadBlock(k.ck, i, &k.block); err != nil {
		return err
	}
	c := k.ck.Config.Of(i)
	k.expect(c)
	var failed error
	first := map[place][]float32{} // of the first window, unchanged
	for w, x := range k.x {
		if err := ctx.Err(); err != nil {
			return err
		}
		sent := routed{look: k}
		k.runner.Block(k.block.Block(), x, k.set.Tokens, llama.Hooks{Route: sent.route, Tap: func(in llama.Input, x []float32, tokens, width int) bool {
			at, stats := sent.place(in)
			if failed == nil {
				failed = stats.Add(k.Pool, x, tokens)
			}
			if in == llama.MLPInput && failed == nil {
				failed = sent.share(x, width)
			}
			if w == 0 && k.Pictures {
				first[at] = slices.Clone(x)
			}
			return failed == nil
		}})
		if failed != nil {
			return failed
		}
	}
	for _, at := range inputsOf(c) {
		k.input(i, at, first[at])
	}
	if k.Pictures {
		if err := k.look.Energy.add(k, i); err != nil {
			return err
		}
	}
	return k.errors(i)
}

// tie maps each channel of an input to the channel that it shares λ with; nil if all
// channels are independent.
func tie(c *checkpoint.Config, in llama.Input) []int {
	if in != llama.OInput {
		return nil
	}
	return llama.ValueChannels(c)
}

// defaultAlpha is the strength that is shown if no job has chosen one.
const defaultAlpha = 0.5

// input summarizes one input of the block.
func (k *looker) input(block int, at place, first []float32) {
	s := k.statsAt(at)
	r := Input{Block: block, Input: at.in, Expert: at.expert, Tokens: s.Tokens, Alpha: k.alpha(block, at)}
	var weights [][]float32
	for _, l := range llama.Layers(k.ck.Config.Of(block)) {
		if l.Input() == at.in && (at.in != llama.DownInput || l.Expert == at.expert) {
			weights = append(weights, k.block.Layer(l).W)
		}
	}
	lambda := stage.Lambda(r.Alpha, s.AbsMax, stage.ColumnMax(s.Width, weights...), tie(&k.ck.Config, at.in))
	if at.expert >= 0 {
		k.experts[at.expert].lambda = lambda
	} else {
		k.lambda[at.in] = lambda
	}
	if s.Tokens == 0 {
		k.look.Inputs = append(k.look.Inputs, r)
		return
	}
	after := make([]float32, s.Width)
	stage.DivideTokens(after, s.AbsMax, lambda)
	r.Outliers, r.Peak = artefact.Outliers(s.AbsMax)
	_, r.After = artefact.Outliers(after)
	for c, v := range s.AbsMax {
		if v == 0 && len(r.Dead) < 8 {
			r.Dead = append(r.Dead, c)
		}
	}
	k.look.Inputs = append(k.look.Inputs, r)
	if k.Pictures && len(first) > 0 {
		k.consider(r, first)
	}
}

// alpha is the smoothing of an input that the job chose, or the default.
func (k *looker) alpha(block int, at place) recipe.Alpha {
	if k.Of == nil || k.Of.Layers == nil {
		return defaultAlpha
	}
	return parseAlpha(k.Of.Layers[k.Of.reading(block, at.in, at.expert)[0]].Alpha)
}

func parseAlpha(s string) recipe.Alpha {
	var a float64
	if _, err := fmt.Sscanf(s, "%g", &a); err != nil || !(a >= 0 && a <= 1) {
		return recipe.Off
	}
	return recipe.Alpha(a)
}

// measures reports whether the layers' errors are to be measured.
func (k *looker) measures() bool {
	s := k.Of
	return s != nil && s.Layers != nil && !s.Manifest.Recipe.NeedsCalibration() && s.Manifest.Recipe.Rotate == nil
}

// errors measures the layers of block i of the quantized model if the job has not measured
// them. This is the case for recipes that need no calibration: they do not smooth, and a
// layer's input is the model's own, unless it is transformed.
func (k *looker) errors(i int) error {
	if !k.measures() {
		return nil
	}
	s := k.Of
	for n, w := range llama.Layers(k.ck.Config.Of(i)) {
		l := &s.Layers[s.first(i)+n]
		stats := k.statsOf(w)
		if l.Error > 0 || stats.Tokens == 0 {
			continue
		}
		a, err := artefact.ReadLinear(s.Checkpoint, l.Name, l.Out, l.In, s.Quantization)
		if err != nil {
			return err
		}
		dense := make([]float32, l.Out*l.In)
		a.Dense(k.Pool, dense)
		e := layerError(k.Pool, k.block.Layer(w).W, dense, stats, l.Out, l.In, s.Quantization)
		l.Measured = &e
	}
	return nil
}

func layerError(p *parallel.Pool, w, got []float32, stats *stage.Stats, out, in int, q *artefact.Quantization) LayerError {
	n := stats.SampleTokens()
	x := stats.Sample
	product := func(w, x []float32) []float32 {
		y := make([]float32, n*out)
		float.MatMulNT(p, y, out, x, in, w, in, n, out, in, false)
		return y
	}
	exact, rounded := product(w, x), product(got, x)
	e := LayerError{Weights: distance(exact, rounded, exact)}
	e.Total = e.Weights
	if q.Bits.Activations < quant.Full.Activations {
		var acts integer.Activations
		xq := make([]float32, len(x))
		acts.Quantize(p, x, in, n, in, q.ActGrid(), 0)
		acts.Dequantize(p, xq, in)
		both := product(got, xq)
		e.Total, e.Activations = distance(exact, both, exact), distance(rounded, both, exact)
	}
	square := stats.Act(nil).MeanSquare
	part, order := make([]float64, in), make([]int, in)
	var sum float64
	for c := range in {
		order[c] = c
		for r := range out {
			v := float64(w[r*in+c]) - float64(got[r*in+c])
			part[c] += v * v
		}
		part[c] *= square[c]
		sum += part[c]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(part[b], part[a]) })
	var heavy float64
	for i, c := range order[:min(in, maxHeavy)] {
		if heavy += part[c]; heavy >= sum/2 && sum > 0 {
			e.Channels = slices.Clone(order[:i+1])
			break
		}
	}
	return e
}

// distance is ‖a − b‖/‖of‖.
func distance(a, b, of []float32) float64 {
	var diff, norm float64
	for i, v := range of {
		d := float64(a[i]) - float64(b[i])
		diff += d * d
		norm += float64(v) * float64(v)
	}
	if norm == 0 {
		return 0
	}
	return math.Sqrt(diff / norm)
}
