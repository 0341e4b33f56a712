package kv

import "github.com/specquant/specquant/internal/kernel/parallel"

// Job is the part of attention that one thread computes at a time: the queries of the heads
// that share kv head Head, in rows Row … Row+Rows-1, which are consecutive positions of one
// sequence from First on. A row here holds the queries of all heads at a position.
type Job struct{ Row, Rows, Head, First int }

// Schedule cuts attention for rows of one or several sequences into jobs and does them on the
// threads of a pool. It owns their scratch memory. The zero value is ready for use.
type Schedule struct {
	jobs    []Job
	scratch chan *Scratch // those that no thread is using, one for each thread
}

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
