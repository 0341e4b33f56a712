package specquant

import (
	"context"
	"errors"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/forecast"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// QuantizeOptions describe a quantization. The zero value is the recipe
// [DefaultRecipe] with its bits and the embedded calibration text.
type QuantizeOptions struct {
	Recipe      string        // name of an embedded recipe, or a .yaml file
	Bits        string        // overrides the recipe's, such as "4-4-16"
	Calibration []string      // text files; none: the embedded text
	Threads     int           // 0: one for each CPU; the result does not depend on it
	MaxMemory   int64         // bytes; 0: no limit
	Time        time.Duration // roughly how long the job may take: fewer calibration windows are used if necessary; 0: as many as the recipe says. See [Plan].Budget
	Size        int64         // largest size of the artefact in bytes: the bits of the weights are chosen to fill it; 0: as the recipe says
	Restart     bool          // throw away an unfinished job instead of resuming it
	Choices     bool          // make [PlanQuantize] fill in [Plan].Choices, which takes a few seconds and up to 1 GB
	Strict      bool          // make the first [Fallback] an error
	KeepBad     bool          // accept a result that fails the comparison with full precision
	Profile     bool          // measure where the time goes, see [Report.Profile]

	Progress func(Event) // may be nil
}

// DefaultRecipe is the recipe used where none is named.
const DefaultRecipe = recipe.Default

// PaperRecipe is the method as published.
const PaperRecipe = recipe.Paper

func (o QuantizeOptions) job(dir, out string) (pipeline.Options, error) {
	name := o.Recipe
	if name == "" {
		name = DefaultRecipe
	}
	r, err := recipe.Load(name)
	if err != nil {
		return pipeline.Options{}, err
	}
	if o.Bits != "" && o.Size > 0 {
		return pipeline.Options{}, errors.New("bits and a size are both given, but the size decides the bits of the weights; give one of them")
	}
	if o.Bits != "" {
		b, err := quant.ParseBits(o.Bits)
		if err != nil {
			return pipeline.Options{}, err
		}
		if err := r.SetBits(b); err != nil {
			return pipeline.Options{}, err
		}
	}
	j := pipeline.Options{Dir: dir, Out: out, Recipe: r, Calibration: o.Calibration, MaxMemory: o.MaxMemory, Size: o.Size, Time: o.Time, Choices: o.Choices,
		Restart: o.Restart, Strict: o.Strict, Tool: "specquant " + Version}
	if o.Progress != nil {
		j.Progress = func(e pipeline.Event) { o.Progress(newEvent(e)) }
	}
	return j, nil
}

// PlanQuantize returns what [Quantize] with the same options would do. It reads no weights and
// writes nothing.
func PlanQuantize(dir string, o QuantizeOptions) (*Plan, error) {
	j, err := o.job(dir, "")
	if err != nil {
		return nil, err
	}
	j.Pool = parallel.NewPool(o.Threads)
	defer j.Pool.Close()
	p, err := pipeline.PlanJob(j)
	if err != nil {
		return nil, publicError(err)
	}
	out := newPlan(p)
	out.Warnings = sideFileWarnings(dir)
	if o.Choices {
		return out, out.Choices.forecast(p.Choices, p.Load >= BusyLoad, j.Pool)
	}
	return out, nil
}

// forecast fills in the speeds of the choices.
func (c *Choices) forecast(from *pipeline.Choices, busy bool, pool *parallel.Pool) error {
	settings, chosen := make([]forecast.Setting, len(from.All)), 0
	for i, one := range from.All {
		settings[i] = forecast.Setting{Recipe: one.Recipe, Bytes: one.Read}
		if one.Chosen {
			chosen = i
		}
	}
	speeds, err := forecast.Speeds(context.Background(), from.Config, settings, chosen, from.Free, busy, pool)
	for i, s := range speeds {
		c.All[i].Prefill, c.All[i].Decode, c.All[i].Decode8 = s.Prefill, s.Decode, s.Decode8
	}
	return err
}

// Quantize quantizes the checkpoint in the folder dir and writes the artefact
// to the folder out, which must not exist and appears only when it is whole.
// The same call continues a job that was interrupted, and the artefact has the same bytes as
// without the interruption. Errors are ctx's, a [RejectedError], a [StrictError], and
// [ErrMalformed], [ErrUnsupported] and [ErrNotFound] about the files in dir.
func Quantize(ctx context.Context, dir, out string, o QuantizeOptions) (*Report, error) {
	j, err := o.job(dir, out)
	if err != nil {
		return nil, err
	}
	j.Pool = parallel.NewPool(o.Threads)
	defer j.Pool.Close()
	j.Verify = func(ctx context.Context, dir string, full *checkpoint.Checkpoint, fitted, heldOut [][]int) (*artefact.Check, error) {
		c, err := verify(ctx, j.Pool, dir, full, fitted, heldOut)
		if err == nil && o.KeepBad {
			c.Passed = true
		}
		return c, err
	}
	if o.Profile {
		j.Profile = &meter.Profile{}
	}
	m, err := pipeline.Run(ctx, j)
	if err != nil {
		return nil, publicError(err)
	}
	r := newReport(m)
	if j.Profile != nil && len(j.Profile.Parts) > 0 { // there are no parts if an earlier run had done everything but the last renaming
		r.Profile = newProfile(j.Profile)
	}
	return r, nil
}

// An artefact is rejected if it is worse than full precision by more than this: then its
// predictions are useless.
const (
	failRatio = 3   // of perplexities
	failKL    = 1.5 // nats a token
)

// verify opens a finished artefact, one block at a time, and compares its predictions with the
// checkpoint's: on held-out windows, or if there are none, on the windows that the weights were
// fitted to.
func verify(ctx context.Context, pool *parallel.Pool, dir string, full *checkpoint.Checkpoint, fitted, heldOut [][]int) (*artefact.Check, error) {
	judged := heldOut
	if len(judged) == 0 {
		judged = fitted
	}
	d, err := divergence(ctx, pool, dir, full, judged)
	if err != nil {
		return nil, err
	}
	c := &artefact.Check{HeldOut: len(heldOut) > 0, Tokens: d.Tokens, PerplexityRef: d.PerplexityRef.Mean, Perplexity: d.Perplexity.Mean, KL: d.KL.Mean, KLErr: d.KL.StdErr, Top1: d.Top1.Mean}
	c.Passed = c.Perplexity <= failRatio*c.PerplexityRef && c.KL <= failKL
	if len(heldOut) > 0 && len(fitted) > 0 {
		f, err := divergence(ctx, pool, dir, full, fitted)
		if err != nil {
			return nil, err
		}
		c.KLFitted, c.KLFittedErr = f.KL.Mean, f.KL.StdErr
	}
	return c, nil
}

// divergence compares the artefact in dir with full precision on windows of tokens, each with
// an empty context before it.
func divergence(ctx context.Context, pool *parallel.Pool, dir string, full *checkpoint.Checkpoint, windows [][]int) (eval.Divergence, error) {
	ref, err := llama.LogitsOfAll(full, pool, windows, nil)
	if err != nil {
		return eval.Divergence{}, err
	}
	longest := 0
	for _, ids := range windows {
		longest = max(longest, len(ids))
	}
	m, err := engine.Open(dir, engine.Options{Pool: pool, Stream: true, Context: longest})
	if err != nil {
		return eval.Divergence{}, err
	}
	defer m.Close()
	vocab := m.Config.VocabSize
	var steps []engine.Step
	for _, ids := range windows {
		steps = append(steps, engine.Step{Seq: m.NewSequence(), IDs: ids, Want: engine.WantAll})
	}
	var tokens []eval.Token
	err = m.Forward(ctx, steps, func(i, t int, logits []float32) error {
		if ids := windows[i]; t+1 < len(ids) {
			tokens = append(tokens, eval.CompareLogits(ref[i][t*vocab:][:vocab], logits, ids[t+1]))
		}
		return nil
	})
	if err != nil {
		return eval.Divergence{}, err
	}
	return eval.Summarize(tokens), nil
}
