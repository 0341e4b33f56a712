package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
)

// Mixtures of experts. Attention and the input of gate and up, which all experts of a block
// share, go through the stages as in other blocks. Then each expert is processed
// separately, on the calibration tokens that the router sends to it. The experts' input is
// kept for all tokens ([State.Route]), so that the attention before it is computed once and
// not for each expert.
//
// The router stays in float32. It reads the output of the norm: smoothing, signs and the
// rotation of the residual stream are folded into it too; the run-time transforms of the
// experts' input come after it.
//
// An expert that receives fewer than [LeastExpertTokens] calibration tokens is calibrated
// also on other tokens, spaced evenly over the text, up to the average number of tokens of
// an expert: a few tokens say nothing about most directions of its inputs. The report
// counts these experts.

// LeastExpertTokens is the smallest number of calibration tokens with which an expert is
// calibrated on its own tokens alone, provided the text has that many for each.
const LeastExpertTokens = 256

// expertState holds the calibration data of the experts of the loaded block.
type expertState struct {
	inputs   *Store    // the input of gate and up for all experts [windows][tokens × hidden]
	tokens   [][]int32 // token numbers for each expert, over all windows, ascending
	reached  []int     // how many of them the router sends to the expert
	borrowed []bool    // the expert also has tokens of others, because it receives too few
	runs     [][llama.NumLinears - llama.Gate]*runLinear

	selected    int       // the expert whose layers are currently the block's last three
	x, gate, up []float32 // for a piece of its tokens
}

// experts is the number of experts in the loaded block; 0: its MLP is no mixture.
func (st *State) experts() int { return st.Config.Experts.Count }

// layerAt is a layer of the loaded block; for the layers of experts, that of the selected
// expert.
func (st *State) layerAt(l llama.Which) llama.Layer {
	return layerOf(st.Config, l, st.mixture.selected)
}

// layerOf is a layer of a block; for the layers of experts, that of the given expert.
func layerOf(c *checkpoint.Config, l llama.Which, expert int) llama.Layer {
	if l < llama.Gate || c.Experts.Count == 0 {
		expert = -1
	}
	return llama.Layer{Which: l, Expert: expert}
}

// ofExperts reports whether an input of the loaded block is different for each expert.
func (st *State) ofExperts(in llama.Input) bool { return st.experts() > 0 && in >= llama.MLPInput }

// runOf is where a quantized layer of the loaded block is stored in the form in which it
// will run.
func (st *State) runOf(l llama.Layer) **runLinear {
	if l.Expert < 0 {
		return &st.runs[l.Which]
	}
	return &st.mixture.runs[l.Expert][l.Which-llama.Gate]
}

// report is the report of a layer.
func (st *State) report(l llama.Which) *artefact.Layer { return &st.Reports[st.layerAt(l).Index()] }

// name is a layer's name in the checkpoint.
func (st *State) name(l llama.Which) string { return st.Prefix + st.layerAt(l).String() }

// rotation is the model's rotation for blocks like the loaded one.
func (st *State) rotation() *Rotation { return st.Rotation.Of(st.model, st.Block.Index) }

// Select selects the expert to work on; it does nothing in a block without experts.
func (st *State) Select(expert int) {
	if st.experts() > 0 {
		st.mixture.selected = expert
		st.Block.Select(expert)
	}
}

// eachExpert calls fn with each expert selected in turn; in a block without experts, once.
func (st *State) eachExpert(fn func() error) error {
	for e := range max(1, st.experts()) {
		st.Select(e)
		if err := fn(); err != nil {
			return st.ofExpert(err)
		}
	}
	return nil
}

// ofExpert adds the number of the selected expert to an error.
func (st *State) ofExpert(err error) error {
	if err != nil && st.experts() > 0 {
		return fmt.Errorf("expert %d: %w", st.mixture.selected, err)
	}
	return err
}

// readersOf lists the layers of the loaded block that read an input: for the input of gate
// and up, those of all experts.
func (st *State) readersOf(in llama.Input) []llama.Layer {
	var all []llama.Layer
	for _, l := range llama.Layers(st.Config) {
		if l.Input() == in && (in != llama.DownInput || l.Expert < 0 || l.Expert == st.mixture.selected) {
			all = append(all, l)
		}
	}
	return all
}

// Route runs the calibration windows through the loaded block, in its current state, to the
// input of the experts, keeps that input, and distributes the tokens to the experts.
func (st *State) Route(ctx context.Context) error {
	st.Tell("sending tokens to experts")
	m, n, hidden := &st.mixture, st.experts(), st.Config.HiddenSize
	if m.inputs == nil {
		var err error
		if m.inputs, err = NewRowStore(st.Windows, st.Tokens, hidden, st.ExpertSpill); err != nil {
			return err
		}
	}
	m.tokens = make([][]int32, n)
	window := 0
	st.routed = func(r *llama.Routing) {
		for e := range n {
			at, _ := r.Of(e)
			for _, t := range at {
				m.tokens[e] = append(m.tokens[e], int32(window*st.Tokens+t))
			}
		}
	}
	defer func() { st.routed = nil }()
	var failed error
	err := st.passTo(ctx, llama.MLPInput, func(in llama.Input, x []float32, tokens, width int) bool {
		if in != llama.MLPInput {
			return true
		}
		failed = errors.Join(failed, m.inputs.Set(window, x[:tokens*width]))
		window++
		return false
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	m.reached, m.borrowed = make([]int, n), make([]bool, n)
	for e, t := range m.tokens {
		m.reached[e] = len(t)
	}
	total := st.Windows * st.Tokens
	average := max(1, total*st.Config.Experts.Used/n)
	for e, own := range m.tokens {
		if len(own) >= min(LeastExpertTokens, average) {
			continue
		}
		m.borrowed[e] = true
		for k := range average {
			own = append(own, int32(k*total/average))
		}
		slices.Sort(own)
		m.tokens[e] = slices.Compact(own)
	}
	return nil
}

// CloseExperts removes the file to which the experts' input was spilled, if there is one.
func (st *State) CloseExperts() { st.mixture.inputs.Close() }

// passExpert runs the tokens of the selected expert through it in its current state, some
// at a time, and calls tap with its inputs.
func (st *State) passExpert(ctx context.Context, tap Tap) error {
	m, hidden, inner := &st.mixture, st.Config.HiddenSize, st.Config.IntermediateSize
	tokens := m.tokens[m.selected]
	x := st.expert(m.selected)
	for len(tokens) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(tokens), st.Tokens)
		m.x = shape.Grow(m.x, n*hidden)
		for i, t := range tokens[:n] {
			if err := m.inputs.Row(m.x[i*hidden:][:hidden], int(t)/st.Tokens, int(t)%st.Tokens); err != nil {
				return err
			}
		}
		tokens = tokens[n:]
		if !tap(llama.MLPInput, m.x, n, hidden) {
			continue
		}
		m.gate, m.up = shape.Grow(m.gate, n*inner), shape.Grow(m.up, n*inner)
		x.Gate.Forward(st.Pool, m.gate, m.x, n)
		x.Up.Forward(st.Pool, m.up, m.x, n)
		llama.Gated(st.Pool, st.Config, m.gate, m.up)
		if t := st.RuntimeTransform(llama.DownInput); t != nil {
			t.Apply(st.Pool, m.gate, n)
		}
		tap(llama.DownInput, m.gate, n, inner)
	}
	return nil
}

// expert returns one expert of the loaded block in its current state: quantized layers as
// they will run, if the recipe asks for that.
func (st *State) expert(e int) llama.ExpertLayers {
	d := &st.Block.Experts[e]
	x := llama.ExpertLayers{Gate: &d[0], Up: &d[llama.Up-llama.Gate], Down: &d[llama.Down-llama.Gate]}
	for k, to := range []*llama.Linear{&x.Gate, &x.Up, &x.Down} {
		if r := st.mixture.runs[e][k]; r != nil {
			*to = r
		}
	}
	return x
}

// ExpertStatistics gathers what smoothing and the report need to know about the selected
// expert's inputs, and measures plain rounding of its layers.
func (st *State) ExpertStatistics(ctx context.Context) error {
	m := &st.mixture
	for _, in := range []llama.Input{llama.MLPInput, llama.DownInput} {
		st.Stats[in].Expect(len(m.tokens[m.selected]))
	}
	if err := st.gatherExpert(ctx, -1, nil); err != nil {
		return err
	}
	for l := llama.Gate; l < llama.NumLinears; l++ {
		if err := st.baseline(l); err != nil {
			return err
		}
	}
	return nil
}

// Expert gathers the statistics of the selected expert and smooths the input of its down.
func (st *State) Expert(ctx context.Context) error {
	if err := st.ExpertStatistics(ctx); err != nil || st.Recipe.Smooth == nil {
		return err
	}
	return st.SmoothInput(ctx, llama.DownInput)
}

// SmoothExpert is [State.Expert] for who needs only the smoothed weights: plain rounding is
// not measured.
func (st *State) SmoothExpert(ctx context.Context) error {
	if err := st.gatherExpert(ctx, -1, nil); err != nil {
		return err
	}
	return st.SmoothInput(ctx, llama.DownInput)
}

// sharedLambda chooses λ for the common input of all experts of the block, from all tokens.
func (st *State) sharedLambda(ctx context.Context) (chosen string, lambda []float32, err error) {
	stats := st.Stats[llama.MLPInput]
	stats.Expect(st.Windows * st.Tokens)
	for i := range st.Windows {
		x, err := st.mixture.inputs.Get(i)
		if err != nil {
			return "", nil, err
		}
		if err := stats.Add(st.Pool, x, st.Tokens); err != nil {
			return "", nil, err
		}
	}
	if st.Recipe.Smooth.Method == recipe.SmoothAWQ {
		return st.searchSharedAWQ(ctx)
	}
	alpha, lambda, err := st.searchAlpha(ctx, llama.MLPInput)
	return alpha.String(), lambda, err
}

// gatherExpert is [State.Gather] for the selected expert's inputs.
func (st *State) gatherExpert(ctx context.Context, only llama.Input, hessian []float64) error {
	for _, in := range []llama.Input{llama.MLPInput, llama.DownInput} {
		if only < 0 || in == only {
			st.Stats[in].Expect(len(st.mixture.tokens[st.mixture.selected]))
		}
	}
	clear(hessian)
	var failed error
	err := st.passExpert(ctx, func(in llama.Input, x []float32, tokens, width int) bool {
		if only >= 0 && in != only {
			return true
		}
		if failed == nil {
			failed = st.Stats[in].Add(st.Pool, x, tokens)
		}
		if hessian != nil && failed == nil {
			st.gram.AddLower(st.Pool, hessian, width, x, width, tokens)
		}
		return failed == nil && (only < 0 || in != only)
	})
	if hessian != nil {
		float.Mirror(st.Pool, hessian, only.Width(st.Config))
	}
	if err == nil && failed != nil {
		err = fmt.Errorf("input of %s of expert %d: %w", only, st.mixture.selected, failed)
	}
	return err
}

// foldRouter folds into the router what is folded into the norm before it: its inputs are
// multiplied by λ.
func (st *State) foldRouter(lambda []float32) {
	if st.experts() > 0 {
		ScaleColumns(st.Block.Router, lambda, st.Pool.Run)
	}
}

// turnRouter folds the rotation of the residual stream and the gains of the norm into a
// router.
func turnRouter(p *parallel.Pool, b *llama.DenseBlock, residual linalg.Transform) {
	if len(b.Experts) > 0 {
		ScaleColumns(b.Router, b.MLPNorm, p.Run)
		linalg.FoldInput(p, b.Router, len(b.Experts), residual)
	}
}
