// Package stage holds the stages of quantization: what is done to one block of a model, or
// to one layer. A stage works on a [State] and knows neither the job's files nor the other
// blocks.
//
// Each method has a file with its paper and equations at the top: smooth, awq, rotate,
// keys, branch, svdquant, gptq, fit, learn, tune, head. A long solver has a second
// file (awq_solver, keys_solver, branch_solver, svdquant_solver, smooth_scales). steps.go
// lists the steps of a block in order, state.go defines what they work on, store.go the
// calibration activations, memory.go what each step allocates, runtime.go the emulation of
// quantized layers, and solve.go rounds a layer by the recipe's method.
package stage

import (
	"context"
	"math"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// SampleTokens is the number of calibration tokens on which the α search is done and errors
// are reported.
const SampleTokens = 512

// State is what the stages work on: the loaded block, the activations of the calibration
// windows before it, and memory that is reused for block after block. [New] makes one for
// the blocks of a model, [NewLayer] for a single layer.
type State struct {
	Config *checkpoint.Config // as the loaded block sees it, see [checkpoint.Config.Of]
	model  *checkpoint.Config // of the whole model
	Recipe *recipe.Recipe
	Pool   *parallel.Pool
	Tell   func(stage string) // receives progress messages for the user; never nil
	Clock  Clock              // measures time by part; nil: not measured

	// The loaded block, in float32. Layer by layer its weights are replaced by those that
	// their quantized form decodes to.
	Block      llama.DenseBlock
	Prefix     string          // of the block's tensor names
	Transforms BlockTransforms // the block's own
	Rotation   *Rotation       // of the whole model

	rotated      bool                           // the rotation is folded into the block
	runs         [llama.NumLinears]*runLinear   // quantized layers as they will run
	learnedSteps [llama.NumLinears]*quant.Steps // scales that were learned; nil: none
	unrounded    [llama.NumLinears][]float32    // weights before they were rounded, for tuning

	// Calibration data: Windows × Tokens, 0 if none is needed.
	Windows   int
	Tokens    int         // of a window
	Inputs    *Store      // the residual stream before the block, in the quantized model
	Targets   *Store      // the full-precision block's output; nil: nothing is learned
	Reference *Reference  // the full-precision model beside the quantized one; nil: nothing is fitted
	Carried   *Store      // each window at the point that it has reached in the block, see [State.Moments]; nil: windows begin anew
	reached   llama.Input // what Carried holds: OInput, MLPInput; 0: nothing
	Runner    *llama.Runner
	Stats     [llama.NumInputs]*Stats
	Source    func(ctx context.Context, tap Tap) error // supplies the input of a single layer; nil: the block computes each input
	// ExpertSpill is the file that what experts read goes to; "": memory.
	ExpertSpill string
	mixture     expertState
	routed      func(r *llama.Routing) // told of each window's, while tokens are sent to experts
	moments     *KeyMoments            // set while they are being gathered
	hessian     []float64              // memory for the second moments of the widest input
	gram        integer.Gram           // adds to them

	// The results for the block's layers.
	Quantized []*artefact.Linear // in the order of [llama.Layers], as Reports
	Reports   []artefact.Layer   // one for each layer

	group group
	scratch
}

// group is what the steps for one input hand on to each other, from the second moments of
// the input to the solutions of the layers that read it.
type group struct {
	moments  []float64                    // Σ x xᵀ [n × n], in State.hessian; nil: not needed
	subspace *artefact.Subspace           // the stored basis of the branch; nil: none
	coeff    map[llama.Which][]float32    // on that basis, if they differ from those of the layer's own weights
	runs     [llama.NumLinears]*runLinear // the readers, split into residual and branch
	fit      *fit                         // what the readers are fitted by, see [State.Fit]; nil: they are not
	factor   *Factor                      // of the moments; nil: weights are rounded to nearest
	diagonal []float64                    // of the moments; nil: not needed
}

// scratch is memory that any stage may use while it runs; its contents are undefined
// between stages.
type scratch struct {
	weights, weights2 []float32                   // of the largest layer [out × in]; without a branch they may lie in State.hessian; in plain rounding some rows of it
	q                 []int8                      // codes of the largest layer
	want, got         []float32                   // outputs on the sample [SampleTokens × widest output]
	xhat, xq          []float32                   // inputs on the sample [SampleTokens × widest input]
	exact             [llama.NumLinears][]float32 // exact outputs on the sample, before the layer is changed
	acts              integer.Activations
	run               runScratch
}

// New makes the state for the blocks of a model, with this many calibration windows and
// tokens in each.
func New(c *checkpoint.Config, r *recipe.Recipe, p *parallel.Pool, windows, tokens int) (*State, error) {
	st, err := newState(c, r, p, windows, tokens)
	if err != nil {
		return nil, err
	}
	layer, out, in := Largest(c)
	st.hold(layer, out, in, llama.AttnInput, llama.OInput, llama.MLPInput, llama.DownInput)
	if windows == 0 {
		return st, nil
	}
	if r.Fitting() {
		st.Reference = &Reference{runner: llama.NewRunner(c, p, tokens)}
	}
	st.Runner = llama.NewRunner(c, p, tokens)
	return st, nil
}

// NewLayer makes the state for a single layer, which takes the place of the block's down:
// its width is c.IntermediateSize and its outputs are c.HiddenSize.
func NewLayer(c *checkpoint.Config, r *recipe.Recipe, p *parallel.Pool, windows, tokens int) (*State, error) {
	st, err := newState(c, r, p, windows, tokens)
	if err != nil {
		return nil, err
	}
	st.hold(c.HiddenSize*c.IntermediateSize, c.HiddenSize, c.IntermediateSize, llama.DownInput)
	return st, nil
}

func newState(c *checkpoint.Config, r *recipe.Recipe, p *parallel.Pool, windows, tokens int) (*State, error) {
	rotation, err := NewRotation(r, c)
	if err != nil {
		return nil, err
	}
	return &State{model: c, Config: c.Of(0), Recipe: r, Pool: p, Windows: windows, Tokens: tokens, Rotation: rotation, Tell: func(string) {}}, nil
}

// Load reads block i of a checkpoint, with the model's rotation folded in.
func (st *State) Load(ck *checkpoint.Checkpoint, i int) error {
	st.Begin(i)
	return st.Rotation.Load(st.Pool, ck, i, &st.Block)
}

// Begin discards everything about the previous block.
func (st *State) Begin(i int) {
	st.Prefix, st.Block.Index, st.Config, st.reached = llama.TensorPrefix(i), i, st.model.Of(i), 0
	st.rotated, st.runs, st.Transforms = false, [llama.NumLinears]*runLinear{}, BlockTransforms{}
	layers := llama.Layers(st.Config)
	st.Quantized, st.Reports, st.group = make([]*artefact.Linear, len(layers)), make([]artefact.Layer, len(layers)), group{}
	for k, l := range layers {
		st.Reports[k].Name = l.String()
	}
	st.mixture.selected, st.mixture.runs = 0, make([][llama.NumLinears - llama.Gate]*runLinear, st.experts())
	for _, s := range st.Stats {
		if s != nil && st.model.Experts.Count > 0 {
			s.Expect(st.Windows * st.Tokens) // the experts of the block before had fewer
		}
	}
	if s := st.Stats[llama.DownInput]; s != nil && s.Width != llama.DownInput.Width(st.Config) { // only some blocks have experts
		st.Stats[llama.DownInput] = st.newStats(llama.DownInput.Width(st.Config), st.Windows*st.Tokens, s.kept)
	}
}

// newStats is [NewStats] with what the recipe needs.
func (st *State) newStats(width, tokens, sample int) *Stats {
	s := NewStats(width, tokens, sample)
	if !wantsMeans(st.Recipe) {
		s.MaximaOnly()
	}
	return s
}

// hold allocates the memory for layers of at most this many weights, outputs and inputs,
// and the statistics of the given inputs. Its size is declared by weightScratchBytes,
// statsBytes and sampleScratchBytes, plus the Hessian.
func (st *State) hold(layer, out, in int, inputs ...llama.Input) {
	if st.Recipe.NeedsHessian() && st.Windows > 0 {
		st.hessian = make([]float64, in*in)
	}
	room := spareBuffers{nil}
	if sharesHessian(st.Recipe, st.Windows) {
		room[0] = floats(st.hessian)
	}
	st.q = make([]int8, layer)
	if RoundsOnly(st.Recipe, st.Windows) {
		st.weights = make([]float32, min(max(partBytes/4, in), layer))
		return
	}
	st.weights, st.weights2 = room.take(layer), room.take(layer)
	if st.Windows == 0 {
		return
	}
	tokens := st.Windows * st.Tokens
	n := min(SampleTokens, tokens)
	for _, i := range inputs {
		st.Stats[i] = st.newStats(i.Width(st.Config), tokens, n)
	}
	st.want, st.got = make([]float32, n*out), make([]float32, n*out)
	st.xhat, st.xq = make([]float32, n*in), make([]float32, n*in)
}

// sharesHessian reports whether the scratch memory for weights lies in that of the Hessian.
// Both are in use at the same time only where there is a branch.
func sharesHessian(r *recipe.Recipe, windows int) bool {
	return windows > 0 && r.NeedsHessian() && r.Branch == nil
}

// weightScratchBytes is the scratch memory for a layer of this many weights: one code of
// each, and two float32 copies, less those that find room in a Hessian of this width.
func weightScratchBytes(layer, hessian int) int64 {
	copies := max(0, 2-2*hessian*hessian/layer)
	return int64(layer) * int64(1+4*copies)
}

// statsBytes is the memory of the statistics of a block's four inputs, with samples of n
// tokens.
func statsBytes(c *checkpoint.Config, n int) (bytes int64) {
	for in := range llama.NumInputs {
		bytes += int64(in.Width(c)) * (4*int64(n) + 4 + 3*8)
	}
	return bytes
}

// sampleScratchBytes is the scratch memory for a sample of n tokens: exact and computed
// outputs, smoothed and rounded inputs, codes of the inputs, and the exact outputs of all
// layers.
func sampleScratchBytes(c *checkpoint.Config, n int) int64 {
	_, out, in := Largest(c)
	outputs, _ := readers(c)
	return int64(n) * (4*int64(2*out+2*in) + int64(in) + 4*outputs)
}

// Largest returns the number of weights in the largest layer, and the widest output and
// input.
func Largest(c *checkpoint.Config) (weights, out, in int) {
	for _, block := range c.Kinds() {
		for l := range llama.NumLinears {
			o, i := l.Shape(c.Of(block))
			weights, out, in = max(weights, o*i), max(out, o), max(in, i)
		}
	}
	return weights, out, in
}

// grid is the grid of a layer's weights.
func (st *State) grid(l llama.Which) quant.Grid {
	return st.Recipe.Weights.Grid(st.Recipe.LayerBits(st.name(l)))
}

// emulate writes to st.got the output that the runtime would compute, in float32:
// residual·Q(x) + kept·x.
func (st *State) emulate(residual, kept, x []float32, samples, out, in int) {
	xq := x
	if grid := st.Recipe.ActGrid(); grid.Bits < quant.Full.Activations {
		st.acts.Quantize(st.Pool, x, in, samples, in, grid, 0)
		xq = st.xq[:samples*in]
		st.acts.Dequantize(st.Pool, xq, in)
	}
	float.MatMulNT(st.Pool, st.got, out, xq, in, residual, in, samples, out, in, false)
	if kept != nil {
		float.MatMulNT(st.Pool, st.got, out, x, in, kept, in, samples, out, in, true)
	}
}

// Relative is ‖a − b‖/‖a‖.
func Relative(a, b []float32) float64 {
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
