package pipeline

import (
	"slices"
	"time"

	"github.com/specquant/specquant/internal/artefact"
)

// Event is the progress of a job.
type Event struct {
	Block, Blocks int // blocks finished, and in all
	Stage         string
	Layers        []artefact.Layer // of the block just finished
	Elapsed       time.Duration    // since the job began
	Seconds       float64          // the block just finished took
	Resumed       bool             // the block was finished by an earlier run
	Note          string           // a warning; "": none

	// The range in which the remaining time is expected; both 0 if the job takes longer
	// than expected.
	LeftLeast, LeftMost time.Duration
}

// remaining estimates the remaining time of a job: from the plan until a block is finished,
// then from the time that blocks have taken.
type remaining struct {
	plan   *Plan
	since  time.Time // when the last block was finished, or the job was started
	done   int
	recent []float64 // seconds of the last blocks that this run has made
}

// recentBlocks is the number of last blocks from which the time of the next ones is estimated,
// because the load of a machine changes over hours.
const recentBlocks = 5

// remaining starts the estimate for a job whose plan was measured.
func (p *Plan) remaining() *remaining { return &remaining{plan: p, since: time.Now()} }

// told updates the estimate with an event of the job.
func (r *remaining) told(e Event) {
	if e.Block == r.done {
		return
	}
	r.done, r.since = e.Block, time.Now()
	if !e.Resumed {
		r.recent = append(r.recent, e.Seconds)
		r.recent = r.recent[max(0, len(r.recent)-recentBlocks):]
	}
}

// at returns the range of the remaining time at the given moment; 0 and 0 if the job takes
// longer than expected.
func (r *remaining) at(now time.Time) (least, most time.Duration) {
	p := r.plan
	block, after := p.block, p.after
	if n := len(r.recent); n > 0 {
		block = span{slices.Min(r.recent), slices.Max(r.recent)}
		if n == 1 { // one block says nothing about how much blocks differ
			block = span{0.9 * r.recent[0], 1.2 * r.recent[0]}
		}
		// The work after the blocks is assumed to deviate from the plan as much as the
		// blocks did.
		foreseen, behind := p.block.middle(), p.after.middle()
		after = span{behind * block.least / foreseen, behind * block.most / foreseen}
	}
	left, spent := float64(p.Blocks-r.done), now.Sub(r.since).Seconds()
	lo, hi := left*block.least+after.least, left*block.most+after.most
	if r.done == 0 {
		lo, hi = lo+p.before.least, hi+p.before.most
	}
	return seconds(max(0, lo-spent)), seconds(max(0, hi-spent))
}
