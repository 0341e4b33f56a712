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
	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/plural"
)

type benchCmd struct {
	Dir      string `arg:"" optional:"" help:"Folder of a quantized model or of a checkpoint, or a GGUF file." placeholder:"OUT"`
	Shape    string `help:"Random weights of a known shape instead of a model: ${shapes}." placeholder:"NAME"`
	Recipe   string `help:"Give the random model the formats that this recipe (embedded or a .yaml file) gives a model of that shape. Default: ${recipe}, as of quantize." short:"r"`
	Bits     string `help:"Bits of the random model, W-A-KV. Default: as quantize."`
	Group    *int   `help:"Weights of a row that share a scale in the random model; 0: the whole row. Default: as quantize."`
	HeadBits *int   `help:"Bits of the random model's output matrix, 2 to 8, or 16; the embedding then has 16. Default: as quantize."`
	Prefill  []int  `help:"Prompt lengths to measure. Default: 512, or the model's context where that is shorter."`
	Decode   *int   `help:"Tokens to generate; 0: none. Default: 64, or what the model's context leaves."`
	Batch    []int  `help:"Sequences decoded together." default:"1,8"`
	Ctx      int    `help:"Tokens already in the cache when decoding." default:"0"`
	Threads  int    `help:"Threads. 0: one for each CPU." default:"0"`
	Rounds   int    `help:"Repetitions, of which the median is reported (of an even number, the mean of the middle two)." default:"5"`
	Profile  bool   `help:"Say where the time of a pass goes, by part: measured in as many rounds more."`
	JSON     bool   `name:"json" help:"One JSON object for each measurement."`
	Markdown bool   `help:"Write a Markdown table."`

	decodeTokens int // to generate, once the context is known
	meter        *cpu.LimitMeter
	limits       cpu.Limits // of the machine during the last timings: medians
	share        cpu.Limits // what the last timings reached as a share of the limits: medians
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
	Int8      float64 `json:"int8_gops"`       // this machine's int8 dot-product peak, measured between the rounds: median
	OfInt8    float64 `json:"share_of_int8"`   // GOPS over Int8, at most 1
	GBs       float64 `json:"gb_per_second"`   // weights and cache read
	Read      float64 `json:"read_gbs"`        // this machine's memory read rate, measured likewise
	OfRead    float64 `json:"share_of_read"`   // GBs over Read, at most 1; 0 with FromCache
	FromCache bool    `json:"read_from_cache"` // weights were read faster than memory allows, so they were in the processor's caches
	Branch    float64 `json:"branch_share"`    // share of the time that the branch takes, from alternate runs without it
	BytesRead int64   `json:"bytes_a_pass"`    // weights and cache
	Turning   float64 `json:"transform_share"` // share of the time that run-time transforms take, likewise
	Recipe    string  `json:"recipe,omitempty"`

	Parts []passPart `json:"parts,omitempty"` // where the time of a pass goes, with --profile
}

func (c *benchCmd) Run(e *env) error {
	pool := parallel.NewPool(c.Threads)
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
	c.meter = cpu.NewLimitMeter(pool)
	limits := c.meter.Measure()
	for range 4 {
		limits = better(limits, c.meter.Measure())
	}
	f := m.Footprint()
	if !c.JSON {
		printBenchHead(e, m, f, opening, limits)
	}
	all, failed := c.measure(e, m, f)
	if e.ctx.Err() != nil {
		return e.ctx.Err()
	}
	if !c.JSON {
		c.print(e, m, f, all)
	}
	return errors.Join(failed...)
}

// printBenchHead prints the machine, the model and the machine's limits.
func printBenchHead(e *env, m *engine.Model, f engine.Footprint, opening time.Duration, limits cpu.Limits) {
	fmt.Fprintf(e.out, "%s %s, %s, kernels %s, bits %s\n", cpuName(), runtime.GOARCH, plural.Of(m.Pool().Threads(), "thread"), cpu.Active(), m.Bits())
	if m.Checkpoint != nil {
		fmt.Fprintf(e.out, "opened in %.3f s", opening.Seconds())
		if t := m.Checkpoint.Checking; t > 0 {
			fmt.Fprintf(e.out, ", %.3f s of it to verify the checksums of %s", t.Seconds(), bytesText(m.Checkpoint.Bytes()))
		}
		fmt.Fprintln(e.out)
	}
	fmt.Fprintf(e.out, "limits, best of five: memory read %.1f GB/s, int8 %.0f GOPS, float32 %.0f GFLOPS\n", limits.Read/1e9, limits.Int8/1e9, limits.FMA/1e9)
	fmt.Fprintf(e.out, "a pass reads %s of weights (branch %s); the cache takes %.1f kB a token\n", bytesText(f.Weights), bytesText(f.Branch), float64(f.KV)/1e3)
}

// measure makes the measurements that the flags ask for, until the context ends. With --json
// each is written at once. failed are the errors of those that could not be made.
func (c *benchCmd) measure(e *env, m *engine.Model, f engine.Footprint) (all []measurement, failed []error) {
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
		r.Name, r.Threads, r.Bits, r.Rounds, r.Recipe = name, m.Pool().Threads(), m.Bits().String(), c.Rounds, c.Recipe
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
	for _, n := range c.Prefill {
		row(fmt.Sprintf("prefill %d", n), func() (measurement, error) { return c.prefill(e.ctx, m, f, n) })
	}
	if c.decodeTokens > 0 {
		for _, batch := range c.Batch {
			row(fmt.Sprintf("decode, batch %d", batch), func() (measurement, error) { return c.decode(e.ctx, m, f, batch) })
		}
	}
	return all, failed
}

// print prints the measurements as a table.
func (c *benchCmd) print(e *env, m *engine.Model, f engine.Footprint, all []measurement) {
	t := newTable()
	t.AppendHeader(table.Row{"what", "tokens/s", "range", "GOPS", "of int8 peak", "GB/s", "of read rate", "branch's share", "transforms' share"})
	percent := func(v float64, known bool) string {
		if !known {
			return ""
		}
		return fmt.Sprintf("%.1f %%", 100*v)
	}
	for _, r := range all {
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
	for _, r := range all {
		printPassParts(e.out, r, c.Markdown)
	}
	if rss := peakMemory(); rss > 0 {
		fmt.Fprintf(e.out, "peak memory %s\n", bytesText(rss))
	}
}

func cpuName() string {
	if n := cpuid.CPU.BrandName; n != "" {
		return n
	}
	return "unknown CPU"
}

func (c *benchCmd) open(pool *parallel.Pool) (*engine.Model, error) {
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
	case c.Recipe != "" || c.Bits != "" || c.Group != nil || c.HeadBits != nil:
		return nil, errors.New("--recipe, --bits, --group and --head-bits describe a random model; give --shape with them")
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

// Default lengths in tokens; less if the model's context is shorter.
const (
	benchPrefill = 512
	benchDecode  = 64
)

// fit fills in the lengths that the flags leave open so that they fit a context of limit
// tokens, and returns the context to open the model with. Lengths given by flags must fit.
func (c *benchCmd) fit(limit int) (context int, err error) {
	if len(c.Prefill) == 0 {
		c.Prefill = []int{min(benchPrefill, limit)}
	}
	if n := slices.Max(c.Prefill); n > limit {
		return 0, fmt.Errorf("--prefill: found %s, the model's context is %d", plural.Of(n, "token"), limit)
	}
	before := max(c.Ctx, 1) // decoding starts after at least one token
	if before >= limit {
		return 0, fmt.Errorf("--ctx: found %s, expected fewer than the model's context of %d", plural.Of(c.Ctx, "token"), limit)
	}
	c.decodeTokens = min(benchDecode, limit-before)
	if c.Decode != nil {
		c.decodeTokens = *c.Decode
	}
	if before+c.decodeTokens > limit {
		return 0, fmt.Errorf("--decode: found %s after %s, the model's context is %d", plural.Of(c.decodeTokens, "token"), plural.Of(before, "token"), limit)
	}
	return max(slices.Max(c.Prefill), min(c.Ctx+c.decodeTokens+1, limit)), nil
}

// better returns the higher of each limit.
func better(a, b cpu.Limits) cpu.Limits {
	return cpu.Limits{Int8: max(a.Int8, b.Int8), FMA: max(a.FMA, b.FMA), Read: max(a.Read, b.Read)}
}

// timings runs fn c.Rounds times and returns work per second: median, least and most. Before
// and after each round it measures the machine's limits, so that other programs slow both down
// equally. Shares of a limit are medians over the rounds.
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
	c.limits = cpu.Limits{Int8: medianOf(int8s), Read: medianOf(reads)}
	c.share = cpu.Limits{Int8: medianOf(ofInt8), Read: medianOf(ofRead)}
	return medianOf(rates), slices.Min(rates), slices.Max(rates), nil
}

// medianOf returns the median of v, which is not empty.
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
	seq := m.NewSequence() // its cache is memory that has been used before, as that of a server is
	once := func() error {
		seq.Truncate(0)
		return m.Forward(ctx, []engine.Step{{Seq: seq, IDs: ids, Want: engine.WantLast}}, none)
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
	if c.Profile {
		if r.Parts, err = passParts(m, nil, c.Rounds, 1, once); err != nil {
			return r, err
		}
	}
	r.GOPS = 2 * (float64(f.Products) - float64(f.Tail)*float64(n-1)/float64(n)) * r.Tokens / 1e9
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
	if c.Profile {
		if r.Parts, err = passParts(m, f.Parts, c.Rounds, c.decodeTokens, once); err != nil {
			return r, err
		}
	}
	cache := f.KV * int64(batch) * int64(start+c.decodeTokens/2)
	r.BytesRead = f.Weights + cache
	r.GOPS = 2 * float64(f.Products+f.Head) * r.Tokens / 1e9
	r.GBs = float64(r.BytesRead) * r.Tokens / float64(batch) / 1e9
	return r, nil
}

// shares measures which shares of the time the branch and the run-time transforms take.
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

// share measures which share of the time a part takes that can be skipped, from alternate
// passes with and without it. It compares medians, because another program can slow down either
// pass of a single pair. A negative difference is noise and gives 0.
func share(skip func(bool), rounds int, once func() error) (float64, error) {
	defer skip(false)
	var took [2][]float64 // with it, without it
	for began := time.Now(); len(took[0]) < rounds || len(took[0]) < sharePairs && time.Since(began) < shareTime; {
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

// A share is measured by at least sharePairs passes with and without the part, and by no more
// than there are rounds once they have taken shareTime: a pass of 8,192 tokens takes a minute
// on slow machines.
const (
	sharePairs = 5
	shareTime  = 10 * time.Second
)

// shareOf is the share of the time with a part that the part takes, from 0 to 1.
func shareOf(with, without float64) float64 { return min(max(0, 1-without/with), 1) }

// peakMemory is the process's largest resident memory so far in bytes; 0 if the system does not
// report it.
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
