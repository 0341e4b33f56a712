package pipeline

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// Resolve returns the recipe adapted to an architecture. An embedding that is also the output
// matrix gets one format, and a model that is too wide for its calibration text is not fitted (solve.correct: judged). If a size is asked for (above 0), or the recipe says weights.fill (the
// size of llama.cpp's Q4_0 file), grid and bits of the layers are those that fill it; if it says
// weights.average, the bits are those of that average. copied is the
// size of embedding and output matrix in the checkpoint, tokenizer that of its files, licences that of
// the licences, which are copied too.
func Resolve(c *checkpoint.Config, r *recipe.Recipe, size, copied, tokenizer, licences int64) (*recipe.Recipe, error) {
	own := *r
	r = &own
	if staysTied(c, r) {
		r.Embedding = r.Head.Table()
	}
	if r.Solve.Correct == recipe.CorrectJudged && !fittable(c, r) {
		r.Solve.Correct = ""
	}
	_, beside := besideBytes(c, r)
	extra := tokenizer + licences + beside
	switch {
	case size > 0 && r.Weights.Average > 0:
		return nil, fmt.Errorf("a size of %s is asked for, and the recipe has weights.average %v: either would choose the bits of the layers; leave out one of them", input.SizeText(size), r.Weights.Average)
	case r.Weights.Average > 0:
		mixed, ok := mix(c, r)
		if !ok {
			return nil, fmt.Errorf("weights.average: found %v, expected at least %d, the smallest of weights.widths", r.Weights.Average, r.Weights.MixWidths()[0])
		}
		return mixed, nil
	case size > 0:
		return fit(c, r, quant.WeightBits[0], size, copied, extra)
	case r.Weights.Fill == recipe.FillQ4:
		if filled, err := fit(c, r, r.Bits.Weights, q4Bytes(c, tokenizer), copied, extra); err == nil {
			return filled, nil
		}
		return r, nil // the bits never fall below the recipe's
	}
	return r, nil
}

// leastFitTokens is the number of calibration tokens for each input channel of the widest layer
// that a fit takes. What it gains falls with it (docs/REPRODUCTION.md, section 0): a third of the
// divergence with 70, a sixteenth with 16, nothing certain with 5, for twice the time of a job.
// Where activations have fewer than 8 bits it takes leastFitTokensFew: there a tenth was gained with
// 35 and more, and with 16 a tenth was lost.
const (
	leastFitTokens    = 10
	leastFitTokensFew = 32
)

// fittable reports whether a fit that is judged by held-out windows is made at all: in mixtures of
// experts it is not, because the full-precision model may send a token to other experts.
func fittable(c *checkpoint.Config, r *recipe.Recipe) bool {
	_, _, widest := stage.Largest(c)
	least := leastFitTokens
	if r.Bits.Activations < 8 {
		least = leastFitTokensFew
	}
	return c.Experts.Count == 0 && r.Calibration.Samples*r.Calibration.Tokens >= least*widest
}

// fit returns a copy of the recipe whose layers have, on as fine a grid, as many bits as make the
// artefact no larger than size bytes, but at least so many: see [fill]. extra is what else the folder
// will hold. If nothing fits, the error says how large the smallest artefact is.
func fit(c *checkpoint.Config, r *recipe.Recipe, least int, size, copied, extra int64) (*recipe.Recipe, error) {
	if out := fill(c, r, least, size-extra-routerBytes(c), copied); out != nil {
		return out, nil
	}
	smallest := *r
	smallest.Weights, smallest.Bits.Weights = r.Weights.Halves(0), least
	if fillsTables(r) {
		smallest.Head.SetTable(r.Head.Table().WithBits(min(leastTable, r.Head.Bits)))
		smallest.Embedding = r.Embedding.WithBits(min(leastTable, r.Embedding.Bits))
	}
	fixed := tableBytes(c, &smallest, copied) + extra
	return nil, fmt.Errorf("a size of %s is asked for, but even with weights of %s the model takes %s, of which embedding, output matrix and tokenizer are %s; ask for more, or give those fewer bits (head and embedding in the recipe)",
		input.SizeText(size), plural.Of(least, "bit"), input.SizeText(fixed+linearBytes(c, &smallest)), input.SizeText(fixed))
}
