package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/specquant/specquant"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows the progress of a job: a bar on a terminal, otherwise a line for each block.
type progress struct {
	e    *env // nil: quiet
	note *env // where notes are printed, even if e is nil
	bars *mpb.Progress
	bar  *mpb.Bar
	told atomic.Pointer[told] // nil: nothing yet
}

// told is the last event of the job.
type told struct {
	specquant.Event
	at time.Time
}

// With quiet only notes are printed.
func newProgress(e *env, blocks int, quiet bool) *progress {
	p := &progress{e: e, note: e}
	if quiet {
		p.e = nil
	} else if e.isTerm {
		p.bars = mpb.New(mpb.WithOutput(e.err), mpb.WithWidth(24))
		p.bar = p.bars.AddBar(int64(blocks),
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return p.told.Load().block() })),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.told.Load().now(time.Now()) })),
		)
	}
	return p
}

// block describes which block the job is working on.
func (t *told) block() string {
	if t == nil {
		return "starting"
	}
	return fmt.Sprintf("block %d of %d", min(t.Block+1, t.Blocks), t.Blocks)
}

// now describes the time left at the given moment, and the present step.
func (t *told) now(now time.Time) string {
	if t == nil {
		return ""
	}
	s := leftText(t.Event, now.Sub(t.at))
	if t.Stage != "" {
		s += ", " + t.Stage
	}
	return s
}

// leftText is the range of the time left, when some time has passed since the event.
func leftText(v specquant.Event, later time.Duration) string {
	least, most := max(0, v.LeftLeast-later), max(0, v.LeftMost-later)
	if most == 0 {
		return "longer than planned"
	}
	return spanText(least, most) + " left"
}

func (p *progress) event(v specquant.Event) {
	if v.Note != "" {
		fmt.Fprintf(p.note.err, "%snote: %s\n", p.note.clear(), v.Note)
		return
	}
	if p.e == nil {
		return
	}
	p.told.Store(&told{v, time.Now()})
	if p.bar != nil {
		p.bar.SetCurrent(int64(v.Block))
		return
	}
	if v.Layers == nil {
		return
	}
	if v.Resumed {
		fmt.Fprintf(p.e.err, "block %d/%d: reused from an earlier run\n", v.Block, v.Blocks)
		return
	}
	var e, rtn float64
	for _, l := range v.Layers {
		e += l.Error / float64(len(v.Layers))
		rtn += l.ErrorRTN / float64(len(v.Layers))
	}
	fmt.Fprintf(p.e.err, "block %d/%d: %.1f s", v.Block, v.Blocks, v.Seconds)
	if rtn > 0 {
		fmt.Fprintf(p.e.err, ", output error %.3f (plain rounding %.3f)", e, rtn)
	}
	if v.Block < v.Blocks {
		fmt.Fprintf(p.e.err, ", %s", leftText(v, 0))
	}
	fmt.Fprintln(p.e.err)
}

func (p *progress) done() {
	if p.bars != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}
