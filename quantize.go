package specquant

import (
	"context"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// QuantizeOptions describe a quantization. The zero value is the recipe
// [DefaultRecipe] with its bits and the embedded calibration text.
type QuantizeOptions struct {
	Recipe      string   // name of an embedded recipe, or a .yaml file
	Bits        string   // overrides the recipe's, such as "4-4-16"
	Calibration []string // text files; none: the embedded text
	Threads     int      // 0: one for each CPU; the result does not depend on it
	MaxMemory   int64    // bytes; 0: no limit
	Restart     bool     // throw away an unfinished job instead of resuming it
	Strict      bool     // make the first [Fallback] an error
	KeepBad     bool     // accept a result that fails the comparison with full precision

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
	if o.Bits != "" {
		b, err := quant.ParseBits(o.Bits)
		if err != nil {
			return pipeline.Options{}, err
		}
		if err := r.SetBits(b); err != nil {
			return pipeline.Options{}, err
		}
	}
	j := pipeline.Options{Dir: dir, Out: out, Recipe: r, Calibration: o.Calibration, MaxMemory: o.MaxMemory,
		Restart: o.Restart, Strict: o.Strict, Tool: "specquant " + Version}
	if o.Progress != nil {
		j.Progress = func(e pipeline.Event) { o.Progress(newEvent(e)) }
	}
	return j, nil
}

// PlanQuantize says what [Quantize] with the same options would do. Nothing is
// loaded and nothing is written.
func PlanQuantize(dir string, o QuantizeOptions) (*Plan, error) {
	j, err := o.job(dir, "")
	if err != nil {
		return nil, err
	}
	j.Pool = kernel.NewPool(o.Threads)
	defer j.Pool.Close()
	p, err := pipeline.PlanJob(j)
	if err != nil {
		return nil, publicError(err)
	}
	return newPlan(p), nil
}

// Quantize quantizes the checkpoint in the folder dir and writes the artefact
// to the folder out, which must not exist and appears only when it is whole.
// A job that was interrupted is taken up where it was by the same call, and
// writes the same bytes. Errors: ctx's; a [RejectedError]; a [StrictError]; [ErrMalformed],
// [ErrUnsupported] and [ErrNotFound] for what was found in dir.
func Quantize(ctx context.Context, dir, out string, o QuantizeOptions) (*Report, error) {
	j, err := o.job(dir, out)
	if err != nil {
		return nil, err
	}
	j.Pool = kernel.NewPool(o.Threads)
	defer j.Pool.Close()
	j.Verify = func(ctx context.Context, dir string, full *checkpoint.Checkpoint, ids []int) (*artefact.Check, error) {
		c, err := verify(ctx, j.Pool, dir, full, ids)
		if err == nil && o.KeepBad {
			c.Passed = true
		}
		return c, err
	}
	m, err := pipeline.Run(ctx, j)
	if err != nil {
		return nil, publicError(err)
	}
	return newReport(m), nil
}

// An artefact fails when it is this much worse than full precision on the text
// it was calibrated on: its predictions are then of no use.
const (
	failRatio = 3   // of perplexities
	failKL    = 1.5 // nats a token
)

// verify reopens an artefact, a block at a time, and compares its predictions
// with the checkpoint's.
func verify(ctx context.Context, pool *kernel.Pool, dir string, full *checkpoint.Checkpoint, ids []int) (*artefact.Check, error) {
	ref, err := llama.Logits(full, pool, ids, nil)
	if err != nil {
		return nil, err
	}
	m, err := engine.Open(dir, engine.Options{Pool: pool, Stream: true, Context: len(ids)})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	vocab := m.Config.VocabSize
	var tokens []eval.Token
	err = m.Forward(ctx, []engine.Step{{Seq: m.NewSequence(), IDs: ids, Want: engine.WantAll}}, func(_, t int, logits []float32) error {
		if t+1 < len(ids) {
			tokens = append(tokens, eval.CompareLogits(ref[t*vocab:][:vocab], logits, ids[t+1]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d := eval.Summarize(tokens)
	c := &artefact.Check{Tokens: d.Tokens, PerplexityRef: d.PerplexityRef.Mean, Perplexity: d.Perplexity.Mean, KL: d.KL.Mean, Top1: d.Top1.Mean}
	c.Passed = c.Perplexity <= failRatio*c.PerplexityRef && c.KL <= failKL
	return c, nil
}
