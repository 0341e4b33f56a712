package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/klauspost/cpuid/v2"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel"
)

type benchCmd struct {
	Dir      string `arg:"" optional:"" help:"Folder of a quantized model or of a checkpoint, or a GGUF file." placeholder:"OUT"`
	Shape    string `help:"Random weights of a known shape instead of a model: ${shapes}." placeholder:"NAME"`
	Recipe   string `help:"Price this recipe, embedded or a .yaml file: the random model is as it would make it." short:"r"`
	Bits     string `help:"Bits of the random model, W-A-KV; else the recipe's, or 4-8-8."`
	Group    *int   `help:"Inputs a scale in the random model; 0: the whole row. Else the recipe's."`
	HeadBits *int   `help:"Bits of the random model's output matrix, 2 to 8, or 16; else 8."`
	Branch   *int   `help:"Fourier components of each channel of a random model without a recipe; else 16."`
	Prefill  []int  `help:"Prompt lengths to measure. Default: 512, or the model's context where that is shorter."`
	Decode   *int   `help:"Tokens to generate; 0: none. Default: 64, or what the model's context leaves."`
	Batch    []int  `help:"Sequences decoded together." default:"1,8"`
	Ctx      int    `help:"Tokens already in the cache when decoding." default:"0"`
	Threads  int    `help:"Threads. 0: one for each CPU." default:"0"`
	Rounds   int    `help:"Repetitions; the median counts, of an even number the mean of the two in the middle." default:"5"`
	JSON     bool   `name:"json" help:"One JSON object for each measurement."`
	Markdown bool   `help:"Write a Markdown table."`

	decodeTokens int // to generate, once the context is known
	meter        *kernel.LimitMeter
	limits       kernel.Limits // medians of the turns taken with the last timings
	share        kernel.Limits // medians of the timings' rates over those of their turns
}

// measurement is one line of a benchmark. Rates are medians over the rounds.
type measurement struct {
	Name      string  `json:"name"`
	Tokens    float64 `json:"tokens_per_second"`
	Least     float64 `json:"min"`
	Most      float64 `json:"max"`
	Rounds    int     `json:"rounds"`
	Threads   int     `json:"threads"`
	Batch     int     `json:"batch"`
	Context   int     `json:"context"`
	Bits      string  `json:"bits"`
	GOPS      float64 `json:"gops"`            // multiply-adds in linear layers, two operations each
	Int8      float64 `json:"int8_gops"`       // this machine's int8 dot-product peak, median of turns taken with the rounds
	OfInt8    float64 `json:"share_of_int8"`   // of that, at most 1
	GBs       float64 `json:"gb_per_second"`   // weights and cache read
	Read      float64 `json:"read_gbs"`        // this machine's memory read rate, likewise
	OfRead    float64 `json:"share_of_read"`   // of that, at most 1; 0 with FromCache
	FromCache bool    `json:"read_from_cache"` // faster than memory can be read: the weights lie in the processor's caches
	Branch    float64 `json:"branch_share"`    // of the time, from alternate runs without the branch
	BytesRead int64   `json:"bytes_a_pass"`    // weights and cache
	Turning   float64 `json:"transform_share"` // of the time, that of the run-time transforms, likewise
	Recipe    string  `json:"recipe,omitempty"`
}

func (c *benchCmd) Run(e *env) error {
	pool := kernel.NewPool(c.Threads)
	defer pool.Close()
	start := time.Now()
	m, err := c.open(pool)
	if err != nil {
		return err
	}
	defer m.Close()
	opening := time.Since(start)
	if m.Checkpoint != nil {
		e.noteUnsummed(m.Checkpoint.Unsummed, c.Dir)
	}
	c.meter = pool.NewLimitMeter()
	limits := c.meter.Measure()
	for range 4 {
		limits = better(limits, c.meter.Measure())
	}
	f := m.Footprint()
	if !c.JSON {
		fmt.Fprintf(e.out, "%s %s, %s, kernels %s, bits %s\n", cpuName(), runtime.GOARCH, plural(pool.Threads(), "thread"), kernel.Active(), m.Bits())
		if m.Checkpoint != nil {
			fmt.Fprintf(e.out, "opened in %.3f s", opening.Seconds())
			if t := m.Checkpoint.Checking; t > 0 {
				fmt.Fprintf(e.out, ", %.3f s of it to hold %s against their sums", t.Seconds(), bytesText(m.Checkpoint.Bytes()))
			}
			fmt.Fprintln(e.out)
		}
		fmt.Fprintf(e.out, "limits, best of five: memory read %.1f GB/s, int8 %.0f GOPS, float32 %.0f GFLOPS\n", limits.Read/1e9, limits.Int8/1e9, limits.FMA/1e9)
		fmt.Fprintf(e.out, "a pass reads %s of weights (branch %s); the cache takes %.1f kB a token\n", bytesText(f.Weights), bytesText(f.Branch), float64(f.KV)/1e3)
	}
	var all []measurement
	add := func(r measurement) {
		r.Threads, r.Bits, r.Rounds, r.Recipe = pool.Threads(), m.Bits().String(), c.Rounds, c.Recipe
		r.Int8, r.Read = c.limits.Int8/1e9, c.limits.Read/1e9
		if r.Int8 > 0 {
			r.OfInt8 = min(1, 1e9*r.GOPS/r.Tokens*c.share.Int8)
		}
		if r.OfRead = 1e9 * r.GBs / r.Tokens * c.share.Read; r.OfRead > 1 {
			r.OfRead, r.FromCache = 0, true
		}
		all = append(all, r)
		if c.JSON {
			json.NewEncoder(e.out).Encode(r)
		}
	}
	var failed []error
	row := func(name string, measure func() (measurement, error)) {
		if e.ctx.Err() != nil {
			return
		}
		r, err := measure()
		if err != nil {
			if e.ctx.Err() == nil {
				failed = append(failed, e.rowFailed(name, err))
			}
			return
		}
		r.Name = name
		add(r)
	}
	for _, n := range c.Prefill {
		row(fmt.Sprintf("prefill %d", n), func() (measurement, error) { return c.prefill(e.ctx, m, f, n) })
	}
	if c.decodeTokens > 0 {
		for _, batch := range c.Batch {
			row(fmt.Sprintf("decode, batch %d", batch), func() (measurement, error) { return c.decode(e.ctx, m, f, batch) })
		}
	}
	if e.ctx.Err() != nil {
		return e.ctx.Err()
	}
	if c.JSON {
		return errors.Join(failed...)
	}
	t := newTable()
	t.AppendHeader(table.Row{"what", "tokens/s", "range", "GOPS", "of int8 peak", "GB/s", "of read rate", "branch's share", "transforms' share"})
	for _, r := range all {
		percent := func(v float64, known bool) string {
			if !known {
				return ""
			}
			return fmt.Sprintf("%.1f %%", 100*v)
		}
		read := percent(r.OfRead, true)
		if r.FromCache {
			read = "from cache"
		}
		t.AppendRow(table.Row{r.Name, fmt.Sprintf("%.1f", r.Tokens), fmt.Sprintf("%.1f–%.1f", r.Least, r.Most), fmt.Sprintf("%.0f", r.GOPS), percent(r.OfInt8, r.Int8 > 0),
			fmt.Sprintf("%.1f", r.GBs), read, percent(r.Branch, f.Branch > 0), percent(r.Turning, m.Transformed())})
	}
	if c.Markdown {
		fmt.Fprintln(e.out, t.RenderMarkdown())
	} else {
		fmt.Fprintln(e.out, t.Render())
	}
	if rss := peakMemory(); rss > 0 {
		fmt.Fprintf(e.out, "peak memory %s\n", bytesText(rss))
	}
	return errors.Join(failed...)
}

func cpuName() string {
	if n := cpuid.CPU.BrandName; n != "" {
		return n
	}
	return "unknown CPU"
}

func (c *benchCmd) open(pool *kernel.Pool) (*engine.Model, error) {
	switch {
	case c.Ctx < 0:
		return nil, fmt.Errorf("--ctx: found %d, expected a number of tokens", c.Ctx)
	case c.Decode != nil && *c.Decode < 0:
		return nil, fmt.Errorf("--decode: found %d, expected a number of tokens", *c.Decode)
	case c.Rounds < 1:
		return nil, fmt.Errorf("--rounds: found %d, expected 1 or more", c.Rounds)
	}
	for _, n := range append(slices.Clone(c.Prefill), c.Batch...) {
		if n < 1 {
			return nil, fmt.Errorf("--prefill and --batch: found %d, expected 1 or more", n)
		}
	}
	switch {
	case c.Shape != "" && c.Dir != "":
		return nil, errors.New("give a model or --shape, not both")
	case c.Shape != "":
		shape, ok := engine.Shapes[c.Shape]
		if !ok {
			return nil, fmt.Errorf("--shape %s: expected one of %s", c.Shape, strings.Join(engine.ShapeNames(), ", "))
		}
		context, err := c.fit(shape.MaxPositions)
		if err != nil {
			return nil, err
		}
		return c.random(engine.Options{Pool: pool, Context: context})
	case c.Recipe != "" || c.Bits != "" || c.Group != nil || c.Branch != nil || c.HeadBits != nil:
		return nil, errors.New("--recipe, --bits, --group, --head-bits and --branch describe a random model; give --shape with them")
	case c.Dir != "":
		ck, err := checkpoint.Open(c.Dir)
		if err != nil {
			return nil, err
		}
		context, err := c.fit(ck.Config.MaxPositions)
		ck.Close()
		if err != nil {
			return nil, err
		}
		return engine.Open(c.Dir, engine.Options{Pool: pool, Context: context})
	}
	return nil, errors.New("give the folder of a model, or --shape " + strings.Join(engine.ShapeNames(), "|"))
}

// What is measured unless it is said, in tokens, and in a shorter context less.
const (
	benchPrefill = 512
	benchDecode  = 64
)

// fit fills in how much is measured where it is not said, so that it fits a model
// that was made for so many tokens, and returns the context to open it with. What is
// said must fit.
func (c *benchCmd) fit(limit int) (context int, err error) {
	if len(c.Prefill) == 0 {
		c.Prefill = []int{min(benchPrefill, limit)}
	}
	if n := slices.Max(c.Prefill); n > limit {
		return 0, fmt.Errorf("--prefill: found %d tokens, the model's context is %d", n, limit)
	}
	before := max(c.Ctx, 1) // decoding begins behind a token
	if before >= limit {
		return 0, fmt.Errorf("--ctx: found %d tokens, expected fewer than the model's context of %d", c.Ctx, limit)
	}
	c.decodeTokens = min(benchDecode, limit-before)
	if c.Decode != nil {
		c.decodeTokens = *c.Decode
	}
	if before+c.decodeTokens > limit {
		return 0, fmt.Errorf("--decode: found %d tokens after %s, the model's context is %d", c.decodeTokens, plural(before, "token"), limit)
	}
	return max(slices.Max(c.Prefill), min(c.Ctx+c.decodeTokens+1, limit)), nil
}

// better takes the best of both.
func better(a, b kernel.Limits) kernel.Limits {
	return kernel.Limits{Int8: max(a.Int8, b.Int8), FMA: max(a.FMA, b.FMA), Read: max(a.Read, b.Read)}
}

// timings runs fn so many rounds and returns work a second: median, least, most.
// Before and after each round it measures the machine's limits: what others do to
// the machine, they do to both. Shares of a limit are medians over the rounds.
func (c *benchCmd) timings(work float64, fn func() error) (median, least, most float64, err error) {
	var rates, int8s, reads, ofInt8, ofRead []float64
	for range c.Rounds {
		before := c.meter.Measure()
		start := time.Now()
		if err := fn(); err != nil {
			return 0, 0, 0, err
		}
		rate := work / time.Since(start).Seconds()
		after := c.meter.Measure()
		int8, read := (before.Int8+after.Int8)/2, (before.Read+after.Read)/2
		rates, int8s, reads = append(rates, rate), append(int8s, int8), append(reads, read)
		ofInt8, ofRead = append(ofInt8, rate/int8), append(ofRead, rate/read)
	}
	c.limits = kernel.Limits{Int8: medianOf(int8s), Read: medianOf(reads)}
	c.share = kernel.Limits{Int8: medianOf(ofInt8), Read: medianOf(ofRead)}
	return medianOf(rates), slices.Min(rates), slices.Max(rates), nil
}

// medianOf is the value in the middle of v, which is not empty; of an even number the
// mean of the two in the middle.
func medianOf(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

func none(int, int, []float32) error { return nil }

func (c *benchCmd) prefill(ctx context.Context, m *engine.Model, f engine.Footprint, n int) (measurement, error) {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i % m.Config.VocabSize
	}
	once := func() error {
		return m.Forward(ctx, []engine.Step{{Seq: m.NewSequence(), IDs: ids, Want: engine.WantLast}}, none)
	}
	if err := once(); err != nil {
		return measurement{}, err
	}
	r := measurement{Batch: 1, BytesRead: f.Weights}
	var err error
	if r.Branch, r.Turning, err = shares(m, f, c.Rounds, once); err != nil {
		return r, err
	}
	if r.Tokens, r.Least, r.Most, err = c.timings(float64(n), once); err != nil {
		return r, err
	}
	r.GOPS = 2 * float64(f.Products) * r.Tokens / 1e9
	r.GBs = float64(f.Weights) * r.Tokens / float64(n) / 1e9
	return r, nil
}

func (c *benchCmd) decode(ctx context.Context, m *engine.Model, f engine.Footprint, batch int) (measurement, error) {
	seqs := make([]*engine.Sequence, batch)
	fill := make([]int, max(c.Ctx, 1))
	for i := range seqs {
		seqs[i] = m.NewSequence()
		if err := m.Forward(ctx, []engine.Step{{Seq: seqs[i], IDs: fill}}, none); err != nil {
			return measurement{}, err
		}
	}
	start := seqs[0].Tokens()
	steps := make([]engine.Step, batch)
	once := func() error {
		for i, s := range seqs {
			s.Truncate(start)
			steps[i] = engine.Step{Seq: s, IDs: []int{i % m.Config.VocabSize}, Want: engine.WantLast}
		}
		for range c.decodeTokens {
			if err := m.Forward(ctx, steps, none); err != nil {
				return err
			}
		}
		return nil
	}
	if err := once(); err != nil {
		return measurement{}, err
	}
	r := measurement{Batch: batch, Context: c.Ctx}
	var err error
	if r.Branch, r.Turning, err = shares(m, f, c.Rounds*c.decodeTokens, func() error {
		for _, s := range seqs {
			s.Truncate(start)
		}
		return m.Forward(ctx, steps, none)
	}); err != nil {
		return r, err
	}
	if r.Tokens, r.Least, r.Most, err = c.timings(float64(c.decodeTokens*batch), once); err != nil {
		return r, err
	}
	cache := f.KV * int64(batch) * int64(start+c.decodeTokens/2)
	r.BytesRead = f.Weights + cache
	r.GOPS = 2 * float64(f.Products+f.Head) * r.Tokens / 1e9
	r.GBs = float64(r.BytesRead) * r.Tokens / float64(batch) / 1e9
	return r, nil
}

// shares are those of the time that go to the branch and to the run-time
// transforms.
func shares(m *engine.Model, f engine.Footprint, rounds int, once func() error) (branch, transforms float64, err error) {
	if f.Branch > 0 {
		if branch, err = share(m.SkipBranch, rounds, once); err != nil {
			return 0, 0, err
		}
	}
	if m.Transformed() {
		transforms, err = share(m.SkipTransforms, rounds, once)
	}
	return branch, transforms, err
}

// share is the share of the time that goes to what can be skipped, from passes
// with and without it in turns: of the medians, since another program that has the
// processor in one of a pair would make any share of a single pair. A share that is
// lost in the noise, below nothing, is 0.
func share(skip func(bool), rounds int, once func() error) (float64, error) {
	defer skip(false)
	var took [2][]float64 // with it, without it
	for range max(rounds, sharePairs) {
		for i := range took {
			skip(i == 1)
			start := time.Now()
			if err := once(); err != nil {
				return 0, err
			}
			took[i] = append(took[i], time.Since(start).Seconds())
		}
	}
	return shareOf(medianOf(took[0]), medianOf(took[1])), nil
}

// sharePairs are the fewest passes with and without that a share is taken from,
// however few rounds are asked for.
const sharePairs = 5

// shareOf is the share of the time that goes to what the shorter time lacks.
func shareOf(with, without float64) float64 { return min(max(0, 1-without/with), 1) }

// peakMemory is the most memory the process has held, or 0 where the system
// does not say.
func peakMemory() int64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}
