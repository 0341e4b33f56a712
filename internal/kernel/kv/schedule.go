package kv

import (
	"sync/atomic"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// Job is the part of attention that one thread computes at a time: the queries of the heads
// that share kv head Head, in rows Row … Row+Rows-1, which are consecutive positions of one
// sequence from First on. A row here holds the queries of all heads at a position.
type Job struct{ Row, Rows, Head, First int }

// Schedule cuts attention for rows of one or several sequences into jobs and does them on the
// threads of a pool. It owns their scratch memory. The zero value is ready for use.
type Schedule struct {
	jobs    []Job
	scratch chan *Scratch // those that no thread is using, one for each thread
	split   []splitJob    // jobs that are split among threads
	pieces  []splitPiece
}

// splitJob is a job whose segments of positions are divided among threads.
type splitJob struct {
	call    kvCall
	scratch Scratch
	left    atomic.Int32 // segments whose values are not combined yet
}

// splitPiece is a segment, or a row, of a split job.
type splitPiece struct{ job, at int }

// Reset removes all jobs.
func (s *Schedule) Reset() { s.jobs = s.jobs[:0] }

// Add adds attention for rows row … row+rows-1, which are the positions from `first` on of a
// sequence, with so many kv heads and `group` query heads for each. It reports whether all
// these rows are one job for each kv head.
func (s *Schedule) Add(row, rows, first, kvHeads, group int) (whole bool) {
	each := Queries(group, first+rows)
	for at := 0; at < rows; at += each {
		for head := range kvHeads {
			s.jobs = append(s.jobs, Job{row + at, min(each, rows-at), head, first + at})
		}
	}
	return rows <= each
}

// Run does the jobs, those that see the most positions first: see [Cache.Attend]. q and out
// are [rows × heads·head_dim]. prepare is called once for each job, by the thread that does
// it, and returns the cache that holds the keys and values of the job's sequence.
func (s *Schedule) Run(p *parallel.Pool, out, q []float32, group, window int, scale float32, prepare func(Job) *Cache) {
	if s.splits(p.Threads(), group, window) {
		s.runSplit(p, out, q, group, window, scale, prepare)
		return
	}
	if cap(s.scratch) < p.Threads() {
		s.scratch = make(chan *Scratch, p.Threads())
		for range p.Threads() {
			s.scratch <- &Scratch{}
		}
	}
	p.Run(len(s.jobs), func(i int) {
		j := s.jobs[len(s.jobs)-1-i]
		c := prepare(j)
		stride := c.Heads * group * c.HeadDim
		o := j.Row*stride + j.Head*group*c.HeadDim
		b := <-s.scratch
		c.Attend(b, out[o:], q[o:], stride, j.Head, group, j.First, j.Rows, window, scale)
		s.scratch <- b
	})
}

// splitLeast is the number of positions from which on splitting takes less time than it saves.
const splitLeast = 4 * kvSegment

// splitRows is the largest number of rows of a job that is split. Split jobs have scratch memory
// of their own, beside that of the threads, together for no more rows than the threads' is.
const splitRows = kvRows / 4

// uneven reports whether so many jobs keep threads waiting: there are few, and they are not the
// same number for each thread.
func uneven(jobs, threads int) bool { return threads > 1 && jobs%threads != 0 && jobs < 4*threads }

// splits reports whether jobs are to be split. One for each kv head keeps threads waiting where
// there are few heads, and longer with every position.
func (s *Schedule) splits(threads, group, window int) bool {
	if !uneven(len(s.jobs), threads) || window > 0 && window < splitLeast {
		return false
	}
	for _, j := range s.jobs {
		if j.Rows*group > splitRows || j.First+j.Rows < splitLeast {
			return false
		}
	}
	return true
}

// ScheduleBytes returns an upper bound of the scratch memory of a [Schedule] for up to so many
// sequences of so many positions, in a model with kvHeads kv heads and `group` query heads for
// each: that of the threads, and where a token of each sequence makes jobs that are split, theirs.
func ScheduleBytes(threads, sequences, kvHeads, group, headDim, positions int) int64 {
	bytes := int64(threads) * ScratchBytes(group, headDim, positions)
	if positions < splitLeast || group > splitRows {
		return bytes
	}
	most := 0
	for n := range sequences {
		if jobs := (n + 1) * kvHeads; uneven(jobs, threads) {
			most = jobs
		}
	}
	rows := min(Queries(group, positions), splitRows/group)*group + kvFillers
	parts := 6 * int64(rows) * int64(shape.CeilDiv(positions, kvSegment)*shape.RoundUp(headDim, kvDims))
	return bytes + int64(most)*(scratchBytes(rows, headDim, positions)+parts)
}

// runSplit is Run with jobs split by segments of positions, to the same bits.
func (s *Schedule) runSplit(p *parallel.Pool, out, q []float32, group, window int, scale float32, prepare func(Job) *Cache) {
	if len(s.split) < len(s.jobs) {
		s.split = make([]splitJob, len(s.jobs))
	}
	p.Run(len(s.jobs), func(i int) {
		j, x := s.jobs[i], &s.split[i]
		c := prepare(j)
		stride := c.Heads * group * c.HeadDim
		x.call.begin(c, &x.scratch, q[j.Row*stride+j.Head*group*c.HeadDim:], stride, j.Head, group, j.First, j.Rows, window)
		n := x.call.segments()
		x.left.Store(int32(n))
		x.scratch.parts = growTo(x.scratch.parts, n*len(x.scratch.sums))
	})
	each := func(count func(*kvCall) int, do func(x *splitJob, at, job int)) {
		s.pieces = s.pieces[:0]
		for i := range s.jobs {
			for at := range count(&s.split[i].call) {
				s.pieces = append(s.pieces, splitPiece{i, at})
			}
		}
		p.Run(len(s.pieces), func(i int) {
			piece := s.pieces[i]
			do(&s.split[piece.job], piece.at, piece.job)
		})
	}
	each((*kvCall).segments, func(x *splitJob, segment, _ int) { x.call.allScores(x.call.segment(segment)) })
	each(func(a *kvCall) int { return a.rows }, func(x *splitJob, row, _ int) {
		for _, t := range x.scratch.tiles {
			if t.row <= row && row < t.row+t.rows {
				x.call.hide(row)
				x.call.weigh(t, row, scale)
			}
		}
	})
	each((*kvCall).segments, func(x *splitJob, segment, job int) {
		sums := x.scratch.sums
		part := x.scratch.parts[segment*len(sums):][:len(sums)]
		clear(part)
		x.call.combineSegment(segment, part)
		if x.left.Add(-1) > 0 {
			return
		}
		clear(sums) // the last to come adds up all segments, in their order
		for i := range x.call.segments() {
			float.AddTo(sums, x.scratch.parts[i*len(sums):][:len(sums)])
		}
		j, c := s.jobs[job], x.call.c
		stride := c.Heads * group * c.HeadDim
		x.call.write(out[j.Row*stride+j.Head*group*c.HeadDim:], stride)
	})
}
