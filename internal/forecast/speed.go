package forecast

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Speed is the number of tokens that a model takes in or writes in a second.
type Speed struct {
	Prefill float64 // reading a prompt of 512 tokens, or of the model's context
	Decode  float64 // writing, one sequence with some 30 tokens before
	Decode8 float64 // writing, eight sequences together
}

// Setting is a model that could be made.
type Setting struct {
	Recipe *recipe.Recipe // nil: full precision
	Bytes  int64          // of weights that are read for a token
}

// Lengths in tokens, as those of the command bench.
const (
	promptTokens = 512
	before       = 31  // in the cache when a token is written: the mean of bench's 64
	together     = 8   // sequences
	blockTokens  = 128 // of the prompt that a single block is measured on
)

// A model is measured on as many of its blocks as take sampleBytes, so that they are read from
// memory as the whole model's are and not from a cache, and on as many rows of embedding and
// output matrix as take tableBytes in 16 bits.
const (
	sampleBytes = 512 << 20
	tableBytes  = 128 << 20
)

// Speeds returns the speed to expect of each setting of a model of architecture c. That of
// settings[chosen] is measured on a model of random weights with the same formats, which runs
// through the same code as the real one; the others follow from it by the bytes that they read
// and the time that one block of each takes from the cache. free is the memory that may be
// used, in bytes.
//
// Experts are replaced by one MLP as wide as those that a token uses, which reads and computes
// as much for one token. A prompt reads all experts, so its speed is an upper bound.
//
// busy says that other programs use the machine: then passes are timed by the processor time
// of this one, so that the speeds are those of the machine without the others.
func Speeds(ctx context.Context, c *checkpoint.Config, settings []Setting, chosen int, free int64, busy bool, pool *parallel.Pool) ([]Speed, error) {
	whole := dense(c)
	s, err := newSample(whole, settings[chosen], sampleSize(free), pool)
	if err != nil {
		return nil, err
	}
	s.busy, s.least = busy, sampleTime
	of, err := s.times(ctx)
	if err != nil {
		return nil, err
	}
	read := cpu.MeasureLimits(pool, 3).Read
	block := func(x Setting) (times, error) {
		s, err := newSample(narrow(whole), x, 0, pool)
		if err != nil {
			return times{}, err
		}
		s.prompt = min(s.prompt, blockTokens)
		s.blocks, s.tables, s.busy, s.least = 1, 0, busy, blockTime
		return s.times(ctx)
	}
	own, err := block(settings[chosen])
	if err != nil {
		return nil, err
	}
	out := make([]Speed, len(settings))
	for i, x := range settings {
		t := of
		if i != chosen {
			one, err := block(x)
			if err != nil {
				return nil, err
			}
			t = of.scaled(&own, &one, float64(x.Bytes-settings[chosen].Bytes)/max(read, float64(settings[chosen].Bytes)/of.decode))
		}
		out[i] = Speed{Prefill: float64(s.prompt) / t.prompt, Decode: 1 / t.decode, Decode8: together / t.decode8}
	}
	return out, nil
}

// dense is the architecture with one MLP in the place of experts.
func dense(c *checkpoint.Config) *checkpoint.Config {
	d := *c
	if x := c.Experts; x.Count > 0 {
		d.Experts, d.IntermediateSize = checkpoint.Experts{}, x.Used*c.IntermediateSize
	}
	return &d
}

// narrow is an architecture of blocks no wider than is needed to compare their formats.
func narrow(c *checkpoint.Config) *checkpoint.Config {
	const hidden, intermediate = 2048, 8192
	d := *c
	d.HiddenSize, d.IntermediateSize = min(d.HiddenSize, hidden), min(d.IntermediateSize, intermediate)
	if c.Heads*c.HeadDim > hidden {
		d.KVHeads = max(1, hidden/c.HeadDim*c.KVHeads/c.Heads)
		d.Heads = d.KVHeads * (c.Heads / c.KVHeads)
	}
	return &d
}

// sampleSize is the size of the blocks that a model is measured on, in bytes.
func sampleSize(free int64) int64 {
	if free > 0 {
		return min(sampleBytes, free/4)
	}
	return sampleBytes
}

// times are seconds of a pass.
type times struct{ prompt, decode, decode8 float64 }

// scaled returns the times of another setting whose blocks take other times from the cache and
// which reads that many seconds more: a prompt is bound by arithmetic, a single token by
// whichever is slower.
func (t times) scaled(own, other *times, reading float64) times {
	one := max(t.decode+reading, t.decode*min(1, other.decode/own.decode))
	return times{
		prompt:  t.prompt * other.prompt / own.prompt,
		decode:  one,
		decode8: max(t.decode8+reading, t.decode8*other.decode8/own.decode8, one),
	}
}

// sample is a part of a model, of random weights.
type sample struct {
	model  *engine.Model
	prompt int           // tokens
	blocks float64       // of the model for each of the sample
	tables float64       // rows of the output matrix for each of the sample; 0: it is not counted
	busy   bool          // passes are timed by processor time
	least  time.Duration // for which a pass is repeated
}

// newSample makes a sample of at most so many bytes, but at least one block.
func newSample(c *checkpoint.Config, x Setting, bytes int64, pool *parallel.Pool) (*sample, error) {
	own := *c
	own.Layers = int(max(1, min(int64(c.Layers), bytes*int64(c.Layers)/max(x.Bytes, 1))))
	own.VocabSize = min(c.VocabSize, max(1024, tableBytes/(2*c.HiddenSize)))
	if bytes == 0 {
		own.VocabSize = min(c.VocabSize, 1024)
	}
	q, random := full(&own), engine.Random{}
	if x.Recipe != nil {
		var err error
		if q, random, err = Formats(&own, x.Recipe); err != nil {
			return nil, err
		}
	}
	s := &sample{prompt: min(promptTokens, c.MaxPositions), blocks: float64(c.Layers) / float64(own.Layers), tables: float64(c.VocabSize) / float64(own.VocabSize)}
	var err error
	s.model, err = engine.NewRandom(own, q, random, engine.Options{Pool: pool, Context: max(s.prompt, min(before+1, c.MaxPositions))})
	return s, err
}

// full is the format of a random model in full precision.
func full(c *checkpoint.Config) artefact.Quantization {
	q := artefact.Quantization{Bits: quant.Bits{Weights: 8, Activations: quant.Full.Activations, KV: quant.Full.KV}, Layers: map[string]int{}, Head: quant.FullBits, Embedding: quant.FullBits}
	for i := range c.Layers {
		for _, l := range llama.Layers(c) {
			q.Layers[llama.TensorPrefix(i)+l.String()] = quant.FullBits
		}
	}
	return q
}

// times measures the sample and returns the whole model's.
func (s *sample) times(ctx context.Context) (t times, err error) {
	ids := make([]int, s.prompt)
	for i := range ids {
		ids[i] = i % s.model.Config.VocabSize
	}
	if t.prompt, err = s.pass(ctx, ids, 0, 1); err != nil {
		return t, err
	}
	held := min(before, s.model.Config.MaxPositions-1)
	if t.decode, err = s.pass(ctx, ids[:1], held, 1); err != nil {
		return t, err
	}
	t.decode8, err = s.pass(ctx, ids[:1], held, together)
	return t, err
}

// Passes of the chosen setting are repeated for sampleTime, of one block of another for
// blockTime, but at least leastPasses times, after one that is not counted; none begins after
// mostTime.
const (
	sampleTime  = 200 * time.Millisecond
	blockTime   = 20 * time.Millisecond
	mostTime    = time.Second
	leastPasses = 3
)

// pass returns the seconds that the whole model takes for ids in each of n sequences with so
// many tokens before them: medians of the sample's, blocks and output matrix by themselves.
func (s *sample) pass(ctx context.Context, ids []int, held, n int) (float64, error) {
	steps := make([]engine.Step, n)
	for i := range steps {
		steps[i] = engine.Step{Seq: s.model.NewSequence(), IDs: make([]int, held)}
	}
	none := func(int, int, []float32) error { return nil }
	if held > 0 {
		if err := s.model.Forward(ctx, steps, none); err != nil {
			return 0, err
		}
	}
	run := func(want engine.Want) (float64, error) {
		for i := range steps {
			steps[i].Seq.Truncate(held)
			steps[i].IDs, steps[i].Want = ids, want
		}
		start, cpu := time.Now(), meter.CPUSeconds()
		err := s.model.Forward(ctx, steps, none)
		took := time.Since(start).Seconds()
		if cpu = (meter.CPUSeconds() - cpu) / float64(min(s.model.Pool().Threads(), runtime.NumCPU())); s.busy && cpu > 0 {
			took = min(took, cpu)
		}
		return took, err
	}
	if _, err := run(engine.WantLast); err != nil {
		return 0, err
	}
	var blocks, all []float64
	for start := time.Now(); len(blocks) == 0 || time.Since(start) < s.least || len(blocks) < leastPasses && time.Since(start) < mostTime; {
		took, err := run(engine.WantNone)
		if err != nil {
			return 0, err
		}
		blocks = append(blocks, took)
		if s.tables > 0 {
			if took, err = run(engine.WantLast); err != nil {
				return 0, err
			}
			all = append(all, took)
		}
	}
	b := median(blocks)
	if s.tables == 0 {
		return b * s.blocks, nil
	}
	return b*s.blocks + max(0, median(all)-b)*s.tables, nil
}

// median returns the median of v, which is not empty.
func median(v []float64) float64 {
	slices.Sort(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
