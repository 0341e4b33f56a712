package kv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Attention over several segments of positions is right, and gives the same bits row by row, in
// a cache of pages, and through a Schedule with any number of threads, which splits jobs where
// there are few.
func TestAttendSegments(t *testing.T) {
	const headDim, heads, group, rows, positions = 32, 3, 2, 3, splitLeast + 2*kvSegment + 200
	const width, first = heads * group * headDim, positions - rows
	for _, bits := range []int{4, 8, 16} {
		r := rand.New(rand.NewPCG(61, uint64(bits)))
		m := newKVModel(r, bits, heads, headDim, positions)
		paged := inPages(&m.Cache)
		q := kerneltest.RandFloats(r, rows*width)
		scale := float32(1 / math.Sqrt(headDim))
		tolerance := 1e-5
		if bits != 16 {
			tolerance = 1e-4
		}
		kerneltest.AllTiers(t, func(t *testing.T) {
			for _, window := range []int{0, splitLeast + 77, kvSegment} {
				what := fmt.Sprintf("%d bits, window %d", bits, window)
				var s Scratch
				want := make([]float32, len(q))
				for h := range heads {
					o := h * group * headDim
					m.Attend(&s, want[o:], q[o:], width, h, group, first, rows, window, scale)
				}
				for row := range rows * heads * group {
					o := row * headDim
					for i, w := range m.attend(q[o:][:headDim], row%(heads*group)/group, first+row/(heads*group), window, float64(scale)) {
						if d := math.Abs(float64(want[o+i]) - w); !(d <= tolerance) {
							t.Fatalf("%s, row %d, dimension %d: got %v, want %v", what, row, i, want[o+i], w)
						}
					}
				}
				single := make([]float32, len(q))
				for h := range heads {
					for p := range rows {
						o := p*width + h*group*headDim
						m.Attend(&s, single[o:], q[o:], width, h, group, first+p, 1, window, scale)
					}
				}
				kerneltest.SameBits(t, what+", row by row", single, want)
				for threads := 1; threads <= 5; threads++ {
					pool := parallel.NewPool(threads)
					for _, c := range []*Cache{&m.Cache, paged} {
						var schedule Schedule
						schedule.Add(0, rows, first, heads, group)
						got, prepared := make([]float32, len(q)), make([]int, heads)
						for range 2 { // the second time with memory that was used
							clear(got)
							schedule.Run(pool, got, q, group, window, scale, func(j Job) *Cache {
								prepared[j.Head]++
								return c
							})
							kerneltest.SameBits(t, fmt.Sprintf("%s, %d threads", what, threads), got, want)
						}
						if split := len(schedule.split) > 0; split != (window != kvSegment && threads != 1 && threads != heads) {
							t.Errorf("%d jobs on %d threads: split %v", heads, threads, split)
						}
						for h, n := range prepared {
							if n != 2 {
								t.Errorf("head %d was prepared %d times, want 2", h, n)
							}
						}
					}
					pool.Close()
				}
			}
		})
	}
}

// A schedule takes no more memory than ScheduleBytes says, which counts jobs that are split only
// where there are some.
func TestScheduleBytes(t *testing.T) {
	const headDim, heads, group = 32, 3, 2
	for _, bits := range []int{4, 8, 16} {
		for _, positions := range []int{700, splitLeast, 3*splitLeast + 5} {
			r := rand.New(rand.NewPCG(62, uint64(bits)))
			m := newKVModel(r, bits, heads, headDim, positions)
			paged := inPages(&m.Cache)
			for threads := 1; threads <= 5; threads++ {
				pool := parallel.NewPool(threads)
				for sequences := 1; sequences <= 4; sequences++ {
					var s Schedule
					run := func(each, first int) { // so many rows of each sequence
						s.Reset()
						for n := range sequences {
							s.Add(n*each, each, first, heads, group)
						}
						q := kerneltest.RandFloats(r, sequences*each*heads*group*headDim)
						s.Run(pool, make([]float32, len(q)), q, group, 0, 1, func(Job) *Cache { return paged })
					}
					run(min(Queries(group, positions), positions), 0)
					run(1, positions-1)
					var split, whole int64
					for i := range s.split {
						split += s.split[i].scratch.bytes()
					}
					for range cap(s.scratch) {
						b := <-s.scratch
						whole += b.bytes()
					}
					what := fmt.Sprintf("%d bits, %d positions, %d sequences on %d threads", bits, positions, sequences, threads)
					planned := ScheduleBytes(threads, sequences, heads, group, headDim, positions)
					if whole+split > planned {
						t.Errorf("%s: %d bytes for the threads and %d for jobs that are split, planned %d", what, whole, split, planned)
					}
					if more := planned - int64(threads)*ScratchBytes(group, headDim, positions); (more > 0) != (positions >= splitLeast && anyUneven(sequences, heads, threads)) {
						t.Errorf("%s: %d bytes planned for jobs that are split", what, more)
					}
				}
				pool.Close()
			}
		}
	}
}

// anyUneven reports whether up to so many sequences make a number of jobs that is to be split.
func anyUneven(sequences, heads, threads int) bool {
	for n := 1; n <= sequences; n++ {
		if uneven(n*heads, threads) {
			return true
		}
	}
	return false
}

// bytes is what the scratch memory takes.
func (s *Scratch) bytes() int64 {
	return int64(4*(cap(s.q)+cap(s.scores)+cap(s.sums)+cap(s.parts)+cap(s.total)+cap(s.scale)+cap(s.base)+cap(s.step)) +
		cap(s.ints) + cap(s.weights) + 2*(cap(s.vs)+cap(s.vm)))
}
