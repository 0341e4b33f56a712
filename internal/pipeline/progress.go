package pipeline

import (
	"slices"
	"time"

	"github.com/specquant/specquant/internal/artefact"
)

// Event tells how far a job is.
type Event struct {
	Block, Blocks int // blocks finished, and in all
	Stage         string
	Layers        []artefact.Layer // of the block just finished
	Elapsed       time.Duration    // since the job began
	Seconds       float64          // the block just finished took
	Resumed       bool             // the block was finished by an earlier run
	Note          string           // what people should know although the job goes on; else ""

	// The range of the time that is left; 0 and 0 where the job takes longer than
	// was foreseen.
	LeftLeast, LeftMost time.Duration
}

// remaining says how much time a job has left: what its plan says until a block is
// finished, from then on what its blocks have really taken.
type remaining struct {
	plan   *Plan
	since  time.Time // when the last block was finished, or the job begun
	done   int
	recent []float64 // seconds of the last blocks that this run made, not taken over
}

// recentBlocks are those whose time is taken for that of the blocks to come: a
// machine is not equally busy for hours.
const recentBlocks = 5

// remaining begins to count the time of a measured plan's job.
func (p *Plan) remaining() *remaining { return &remaining{plan: p, since: time.Now()} }

// told takes in what the job says.
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

// at is the range of the time left at a moment; 0 and 0 where the job is already
// taking longer than was foreseen.
func (r *remaining) at(now time.Time) (least, most time.Duration) {
	p := r.plan
	block, after := p.block, p.after
	if n := len(r.recent); n > 0 {
		block = span{slices.Min(r.recent), slices.Max(r.recent)}
		if n == 1 { // nothing is known of how much blocks differ
			block = span{0.9 * r.recent[0], 1.2 * r.recent[0]}
		}
		// What comes behind the blocks is off by as much as they were.
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
