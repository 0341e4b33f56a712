package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/specquant/specquant/internal/hub"
	"github.com/specquant/specquant/internal/plural"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

type pullCmd struct {
	Model string `arg:"" help:"Model on the hub: OWNER/REPO, with @REVISION for another than main; with :FILE.gguf, or a part of its name such as :Q4_K_M, for one GGUF file." placeholder:"REPO[:FILE.gguf]"`
}

func (c *pullCmd) Run(e *env) error {
	name, err := hub.ParseName(c.Model)
	if err != nil {
		return err
	}
	config, err := hub.FromEnv()
	if err != nil {
		return err
	}
	p := newPullProgress(e)
	client := &hub.Client{Config: config, Log: p.log}
	start := time.Now()
	got, err := client.Pull(e.ctx, name, p)
	p.end()
	if err != nil {
		return err
	}
	if got.Fetched == 0 {
		fmt.Fprintf(e.err, "%s is here already: %s in %s\n", name, bytesText(got.Bytes), plural.Of(got.Files, "file"))
	} else {
		took := time.Since(start)
		fmt.Fprintf(e.err, "%s: %s downloaded in %s, %s per second; hashes verified\n", name, bytesText(got.Fetched), durationText(took), bytesText(int64(float64(got.Fetched)/took.Seconds())))
	}
	fmt.Fprintf(e.err, "to talk to it: specquant chat %s\n", name)
	if !e.isTerm { // for scripts
		fmt.Fprintln(e.out, got.Path)
	}
	return nil
}

// pullProgress shows bytes, rate and time left on a terminal, otherwise a line for each file.
type pullProgress struct {
	e     *env
	mu    sync.Mutex
	bars  *mpb.Progress
	bar   *mpb.Bar
	bytes atomic.Int64
	total int64
}

func newPullProgress(e *env) *pullProgress { return &pullProgress{e: e} }

func (p *pullProgress) Begin(total, have int64) {
	p.total = total
	p.bytes.Store(have)
	if have > 0 && have < total {
		fmt.Fprintf(p.e.err, "%s of %s are here already\n", bytesText(have), bytesText(total))
	}
	if !p.e.isTerm || have == total {
		return
	}
	p.bars = mpb.New(mpb.WithOutput(p.e.err), mpb.WithWidth(40))
	p.bar = p.bars.AddBar(total, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
			return fmt.Sprintf("%s of %s", bytesText(p.bytes.Load()), bytesText(p.total))
		})),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1000(0), "% .1f"), decor.Name("  "), decor.AverageETA(decor.ET_STYLE_GO), decor.Name(" left")))
	p.bar.SetRefill(have)
	p.bar.SetCurrent(have)
	p.bar.DecoratorAverageAdjust(time.Now())
}

func (p *pullProgress) File(string) {}

func (p *pullProgress) Add(n int64) {
	now := p.bytes.Add(n)
	if p.bar != nil {
		p.bar.SetCurrent(now)
	}
}

func (p *pullProgress) Waiting(file string) {
	p.log("%s: another process is fetching it; waiting", file)
}

func (p *pullProgress) Done(path string, n int64) {
	if p.bar == nil {
		p.log("%s: %s", path, bytesText(n))
	}
}

func (p *pullProgress) log(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars != nil {
		fmt.Fprintf(p.bars, format+"\n", args...) // printed above the bar
		return
	}
	fmt.Fprintf(p.e.err, format+"\n", args...)
}

func (p *pullProgress) end() {
	if p.bars != nil {
		p.bar.Abort(true)
		p.bars.Wait()
		p.bars = nil
	}
}
