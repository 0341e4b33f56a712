package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows a job: a bar on a terminal, a line for each block elsewhere.
type progress struct {
	e     *env
	bars  *mpb.Progress
	bar   *mpb.Bar
	stage atomic.Value // string
	last  time.Time
}

func newProgress(e *env, blocks int) *progress {
	p := &progress{e: e, last: time.Now()}
	p.stage.Store("")
	if e.isTerm {
		p.bars = mpb.New(mpb.WithOutput(e.err), mpb.WithWidth(40))
		p.bar = p.bars.AddBar(int64(blocks),
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.CountersNoUnit("block %d/%d")),
			mpb.AppendDecorators(decor.EwmaETA(decor.ET_STYLE_GO, 4), decor.Any(func(decor.Statistics) string { return "  " + p.stage.Load().(string) })),
		)
	}
	return p
}

func (p *progress) event(v specquant.Event) {
	p.stage.Store(v.Stage)
	if v.Layers == nil {
		return
	}
	var e, rtn float64
	for _, l := range v.Layers {
		e += l.Error / float64(len(v.Layers))
		rtn += l.ErrorRTN / float64(len(v.Layers))
	}
	if p.bar != nil {
		p.bar.EwmaIncrBy(1, time.Since(p.last))
		p.last = time.Now()
		return
	}
	if v.Resumed {
		fmt.Fprintf(p.e.err, "block %d/%d: taken over from the earlier run\n", v.Block, v.Blocks)
		return
	}
	left := time.Duration(float64(v.Elapsed) / float64(v.Block) * float64(v.Blocks-v.Block))
	fmt.Fprintf(p.e.err, "block %d/%d: %.1f s", v.Block, v.Blocks, v.Seconds)
	if rtn > 0 {
		fmt.Fprintf(p.e.err, ", output error %.3f (plain rounding %.3f)", e, rtn)
	}
	if v.Block < v.Blocks {
		fmt.Fprintf(p.e.err, ", about %s left", durationText(left))
	}
	fmt.Fprintln(p.e.err)
}

func (p *progress) done() {
	if p.bars != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}

// printLayers writes the report of each layer.
func printLayers(w io.Writer, layers []specquant.Layer) {
	t := newTable()
	t.SetOutputMirror(w)
	t.SuppressEmptyColumns() // which errors are known depends on the recipe
	t.AppendHeader(table.Row{"layer", "α", "energy kept", "bits/weight", "output error", "no branch", "plain rounding", "seconds"})
	for _, l := range layers {
		num := func(v float64) string {
			if v == 0 {
				return ""
			}
			return fmt.Sprintf("%.4f", v)
		}
		kept := ""
		if l.EnergyKept > 0 {
			kept = fmt.Sprintf("%.1f %%", 100*l.EnergyKept)
		}
		seconds := ""
		if l.Seconds > 0 { // unknown for blocks of an earlier run and in a manifest
			seconds = fmt.Sprintf("%.2f", l.Seconds)
		}
		t.AppendRow(table.Row{l.Name, l.Alpha, kept, fmt.Sprintf("%.3f", l.BitsPerWeight), num(l.Error), num(l.ErrorNoBranch), num(l.ErrorRTN), seconds})
	}
	t.Render()
}
