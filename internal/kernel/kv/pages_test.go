package kv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/kerneltest"
)

// inPages is a cache that holds the same in pages.
func inPages(c *Cache) *Cache {
	out := &Cache{Bits: c.Bits, Heads: c.Heads, HeadDim: c.HeadDim, SoftCap: c.SoftCap}
	pages := c.NewPages(c.capacity / Page)
	for i := range pages {
		p := &pages[i]
		copyPage(p.keys, c.keys, c, i, c.keyRow())
		copyPage(p.values, c.values, c, i, c.valueRow())
		copyPage(p.keys32, c.keys32, c, i, c.keyRow())
		copyPage(p.values32, c.values32, c, i, c.valueRow())
		copyPage(p.ks, c.ks, c, i, 1)
		copyPage(p.km, c.km, c, i, 1)
		copyPage(p.vs, c.vs, c, i, 1)
		copyPage(p.vm, c.vm, c, i, 1)
		out.SetPage(i, p)
	}
	return out
}

func copyPage[T any](dst, src []T, c *Cache, page, width int) {
	if len(src) == 0 {
		return
	}
	for h := range c.Heads {
		copy(dst[h*Page*width:][:Page*width], src[(h*c.capacity+page*Page)*width:])
	}
}

// TestAttendPages: attention over pages is that over a cache in one piece, to the bit.
func TestAttendPages(t *testing.T) {
	for _, bits := range []int{4, 8, 16} {
		for _, shape := range []struct{ headDim, heads, group, positions int }{{8, 2, 1, 70}, {16, 1, 2, 290}, {64, 3, 3, 130}, {100, 1, 7, 64}, {64, 2, 16, 65}} {
			r := rand.New(rand.NewPCG(71, uint64(bits*shape.headDim)))
			m := newKVModel(r, bits, shape.heads, shape.headDim, shape.positions)
			m.SoftCap = float32(shape.group % 2 * 5)
			pages := inPages(&m.Cache)
			width := shape.heads * shape.group * shape.headDim
			q := kerneltest.RandFloats(r, shape.positions*width)
			scale := float32(1 / math.Sqrt(float64(shape.headDim)))
			kerneltest.AllTiers(t, func(t *testing.T) {
				var s Scratch
				for _, window := range []int{0, 13, 100} {
					for _, piece := range []int{1, 29, shape.positions} {
						want, got := make([]float32, len(q)), make([]float32, len(q))
						for h := range shape.heads {
							for p := 0; p < shape.positions; p += piece {
								o := p*width + h*shape.group*shape.headDim
								n := min(piece, shape.positions-p)
								m.Attend(&s, want[o:], q[o:], width, h, shape.group, p, n, window, scale)
								pages.Attend(&s, got[o:], q[o:], width, h, shape.group, p, n, window, scale)
							}
						}
						kerneltest.SameBits(t, fmt.Sprint(bits, shape, window, piece), got, want)
					}
				}
			})
		}
	}
}

// TestPages: what is put into a paged cache lies where it is put into one in one piece;
// pages are shared, replaced, dropped and cleared.
func TestPages(t *testing.T) {
	r := rand.New(rand.NewPCG(72, 73))
	for _, bits := range []int{4, 8, 16} {
		m := newKVModel(r, bits, 2, 16, 150)
		want := inPages(&m.Cache)
		c := &Cache{Bits: bits, Heads: 2, HeadDim: 16}
		pages := c.NewPages(3)
		for i := range pages {
			c.SetPage(i, &pages[i])
		}
		for p := range 150 {
			for h := range 2 {
				in, at, _ := want.piece(p, p+1)
				if bits == 16 {
					key := make([]float32, 16)
					for i := range key {
						key[i] = in.keys32[in.keyAt(h, at, i)]
					}
					c.Put(h, p, key, in.values32[(h*Page+at)*in.valueRow():][:16])
					continue
				}
				key, value := make([]byte, 2*bits), make([]byte, 2*bits)
				for i := range key {
					key[i], value[i] = in.keys[in.keyAt(h, at, i)], in.values[in.valueAt(h, at, i)]
				}
				row := h*Page + at
				c.PutPacked(h, p, key, value, in.ks[row], in.km[row], in.vs[row], in.vm[row])
			}
		}
		for i, p := range c.pages {
			w := want.pages[i]
			if !slices.Equal(p.keys, w.keys) || !slices.Equal(p.values, w.values) || !slices.Equal(p.keys32, w.keys32) || !slices.Equal(p.values32, w.values32) ||
				!slices.Equal(p.ks, w.ks) || !slices.Equal(p.km, w.km) || !slices.Equal(p.vs, w.vs) || !slices.Equal(p.vm, w.vm) {
				t.Fatalf("%d bits: page %d holds something else", bits, i)
			}
		}
		other := c.NewPages(1)
		other[0].CopyFrom(c.pages[1], 20, Page)
		c.SetPage(1, &other[0])
		c.DropPages(2)
		if c.Capacity() != 2*Page || c.pages[1] != &other[0] || c.pages[0] != &pages[0] {
			t.Errorf("%d bits: %d positions after dropping a page", bits, c.Capacity())
		}
		c.pages[0].Clear()
		if got := make([]float32, 16); true {
			var s Scratch
			c.Attend(&s, got, kerneltest.RandFloats(r, 16), 16, 0, 1, 40, 1, 0, 1)
			if slices.ContainsFunc(got, func(v float32) bool { return v != 0 }) {
				t.Errorf("%d bits: attention over a cleared page gives %v", bits, got)
			}
		}
	}
}
