package kv

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/float"
)

// A paged [Cache] has no memory of its own. Position p lies in page p / Page, which is a
// cache of Page positions and may be part of several paged caches. Attention gives the same
// bits as over a cache in one piece.

// Page is the number of positions of a page: the largest number that a routine takes at
// once, so that no routine has to go from one page to another.
const Page = kvAlign

// NewPages makes n pages for caches of the shape of c. They are allocated together, one
// piece of memory for each type of element.
func (c *Cache) NewPages(n int) []Cache {
	c.check()
	pages := make([]Cache, n)
	each := c.Heads * Page
	var bytes []byte
	var floats []float32
	var halves []uint16
	if c.Bits == 16 {
		floats = make([]float32, n*each*(c.keyRow()+c.valueRow()))
	} else {
		bytes, halves = make([]byte, n*each*(c.keyRow()+c.valueRow())), make([]uint16, n*each*4)
	}
	for i := range pages {
		p := &pages[i]
		*p = Cache{Bits: c.Bits, Heads: c.Heads, HeadDim: c.HeadDim, SoftCap: c.SoftCap, capacity: Page}
		if c.Bits == 16 {
			p.keys32, p.values32 = cut(&floats, each*c.keyRow()), cut(&floats, each*c.valueRow())
			continue
		}
		p.keys, p.values = cut(&bytes, each*c.keyRow()), cut(&bytes, each*c.valueRow())
		p.ks, p.km, p.vs, p.vm = cut(&halves, each), cut(&halves, each), cut(&halves, each), cut(&halves, each)
	}
	return pages
}

// cut removes the first n elements from s and returns them.
func cut[T any](s *[]T, n int) []T {
	out := (*s)[:n:n]
	*s = (*s)[n:]
	return out
}

// Clear sets all keys and values of a page, with their scales and minima, to zero.
func (c *Cache) Clear() {
	clear(c.keys)
	clear(c.values)
	clear(c.keys32)
	clear(c.values32)
	clear(c.ks)
	clear(c.km)
	clear(c.vs)
	clear(c.vm)
}

// SetPage replaces page i of a paged cache by a page of the same shape, or appends the page
// if i is the number of pages.
func (c *Cache) SetPage(i int, page *Cache) {
	if c.capacity != len(c.pages)*Page || page.capacity != Page || page.Bits != c.Bits || page.Heads != c.Heads || page.HeadDim != c.HeadDim {
		panic(fmt.Sprintf("kernel: a page of %d positions for a cache of another shape", page.capacity))
	}
	if i == len(c.pages) {
		c.pages = append(c.pages, page)
		c.capacity += Page
	}
	c.pages[i] = page
}

// DropPages removes all but the first n pages of a paged cache.
func (c *Cache) DropPages(n int) {
	clear(c.pages[n:])
	c.pages = c.pages[:n]
	c.capacity = n * Page
}

// piece returns the cache that holds position `from` (c itself, or a page), the position's
// place `at` in it, and how many of the positions from…to-1 lie in it one after the other.
func (c *Cache) piece(from, to int) (in *Cache, at, n int) {
	if c.pages == nil {
		return c, from, to - from
	}
	at = from % Page
	return c.pages[from/Page], at, min(to-from, Page-at)
}

// pageAfter returns the page that follows the one with this position; nil if there is none.
func (c *Cache) pageAfter(position int) *Cache {
	if i := position/Page + 1; i < len(c.pages) {
		return c.pages[i]
	}
	return nil
}

// valueScales returns the scales and minima of a head's values at the positions from…to-1, in the
// memory of s.
func (c *Cache) valueScales(s *Scratch, head, from, to int) (scales, minima []float32) {
	s.vs, s.vm = growTo(s.vs, to-from), growTo(s.vm, to-from)
	for done := 0; done < to-from; {
		p, at, n := c.piece(from+done, to)
		at += head * p.capacity
		float.F16ToF32(s.vs[done:][:n], p.vs[at:][:n])
		float.F16ToF32(s.vm[done:][:n], p.vm[at:][:n])
		done += n
	}
	return s.vs, s.vm
}
