package pipeline

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/learn"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// spinLimit is the most memory that learning rotations may take unless --max-memory allows
// more. It is the only step that holds the whole model.
const spinLimit = 32 << 30

// learningMemory returns the largest amount of memory that a learning stage holds in addition
// to what every job holds, with the stage's name. The stages run one after the other. It is 0
// if there are none.
func learningMemory(c *checkpoint.Config, r *recipe.Recipe, windows, tokens int, maxMemory int64) (Item, error) {
	var most Item
	count := func(stage string, bytes int64) {
		if bytes > most.Bytes {
			most = Item{Name: "learning: " + stage, Bytes: bytes}
		}
	}
	rows := func(batch int) int { return min(batch, windows) * tokens }
	if l := r.Learn; l != nil && l.Method == recipe.LearnOmniQuant {
		count(l.Method, learn.OmniQuantBytes(c, rows(l.Batch)))
	} else if l != nil {
		count(l.Method, learn.FlatQuantBytes(c, rows(l.Batch)))
	}
	if t := r.Tune; t != nil {
		count("tuning a block", learn.TuneBytes(c, rows(t.Batch), stage.TuneOptions(t, 0)))
	}
	if t := r.Distil; t != nil {
		count("distilling the whole model", learn.ModelBytes(c, rows(t.Batch), stage.TuneOptions(t, 0)))
	}
	if r.LearnsRotations() {
		o := r.Rotate.Learn
		bytes := learn.SpinBytes(c, rows(o.Windows))
		if maxMemory == 0 && bytes > spinLimit {
			return most, fmt.Errorf("rotate.learn: needs about %s for the whole model in float32 and the tape of a step of %s of %s; without --max-memory the limit is %s; "+
				"allow more, take fewer rotate.learn.windows or calibration.tokens, or recipe quarot, whose rotations are not learned", input.SizeText(bytes), plural.Of(min(o.Windows, windows), "window"), plural.Of(tokens, "token"), input.SizeText(spinLimit))
		}
		count("rotations, the whole model", bytes)
	}
	return most, nil
}

// learningEffort is the work of learning in floating-point operations: for each block, and once
// before and after the blocks.
type learningEffort struct{ before, block, after float64 }

// learningWork counts the operations of learning. A backward pass takes twice as many as a
// forward pass.
func learningWork(c *checkpoint.Config, r *recipe.Recipe, windows, tokens int) (work learningEffort) {
	var weights float64
	for l := range llama.NumLinears {
		o, i := l.Shape(c)
		weights += float64(o) * float64(i)
	}
	layers := float64(c.Layers)
	token := 6*weights + 12*float64(c.Heads*c.HeadDim)*float64(tokens)/2*1.5
	head := 6 * float64(c.VocabSize) * float64(c.HiddenSize)
	t := float64(windows) * float64(tokens)
	if r.Learn != nil {
		work.block += float64(r.Learn.Epochs) * t * token
	}
	if r.Tune != nil {
		work.block += float64(r.Tune.Epochs) * t * token
	}
	if r.Distil != nil {
		// The blocks' forward pass is made twice; a tenth of the windows judge.
		work.after += float64(r.Distil.Epochs) * t * (token*layers*4/3 + head)
	}
	if r.LearnsRotations() {
		o := r.Rotate.Learn
		h := float64(c.HiddenSize)
		work.before += float64(o.Steps*min(o.Windows, windows)) * float64(tokens) * ((token+24*h*h)*layers + head)
	}
	return work
}
