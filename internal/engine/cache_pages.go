package engine

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/plural"
)

// PageTokens is the number of tokens of a page.
const PageTokens = kv.Page

// Page holds the keys and values of PageTokens consecutive tokens of a text, for all blocks.
// Several sequences can share it, and others can hold a reference (see [Page.Hold]). A sequence
// that writes to a shared page gets its own copy first. All sequences that share pages must be
// used by one goroutine at a time.
type Page struct {
	refs   int
	blocks []kv.Cache
}

// Hold adds a reference to the page, see [Pages.Drop].
func (p *Page) Hold() { p.refs++ }

// Pages is the memory for the KV caches of many sequences of a model. It may be used by one
// goroutine at a time.
type Pages struct {
	// Evict is called when all pages are in use. It may drop held pages and reports whether
	// it has. It may be nil.
	Evict func() bool

	model *Model
	limit int // pages
	made  int
	free  []*Page
}

// NewPages makes a memory of at most limit pages, which are allocated when they are needed.
func (m *Model) NewPages(limit int) *Pages { return &Pages{model: m, limit: limit} }

// PagesError is the error of a memory without free pages.
type PagesError struct{ Limit int }

func (e *PagesError) Error() string {
	return fmt.Sprintf("all %s of %s of the cache are in use", plural.Of(e.Limit, "page"), plural.Of(PageTokens, "token"))
}

// PageBytes returns the size of a page in bytes.
func (m *Model) PageBytes() int64 { return PageTokens * m.CacheBytes() }

// Bytes returns the size of all allocated pages in bytes.
func (p *Pages) Bytes() int64 { return int64(p.made) * p.model.PageBytes() }

// NewSequence starts an empty sequence that takes its pages from this memory.
func (p *Pages) NewSequence() *Sequence {
	s := p.model.NewSequence()
	s.memory = p
	return s
}

// take returns a page of zeros with one reference.
func (p *Pages) take() (*Page, error) {
	for p.made >= p.limit && len(p.free) == 0 && p.Evict != nil && p.Evict() {
	}
	if last := len(p.free) - 1; last >= 0 {
		page := p.free[last]
		p.free[last] = nil
		p.free, page.refs = p.free[:last], 1
		return page, nil
	}
	if p.made >= p.limit {
		return nil, &PagesError{p.limit}
	}
	p.made++
	return p.model.newPage(), nil
}

// Drop removes a reference to the page. Without references the page is free, and cleared,
// because old contents may be NaN.
func (p *Pages) Drop(page *Page) {
	if page.refs--; page.refs > 0 {
		return
	}
	for i := range page.blocks {
		page.blocks[i].Clear()
	}
	p.free = append(p.free, page)
}

func (m *Model) newPage() *Page {
	shape := m.newCache()
	return &Page{refs: 1, blocks: shape.NewPages(m.Config.Layers)}
}

// Page returns the i-th page of the sequence.
func (s *Sequence) Page(i int) *Page { return s.pages[i] }

// Share gives an empty sequence its first n tokens by sharing pages of the same memory. Results
// are the same as if the sequence had computed these tokens.
func (s *Sequence) Share(pages []*Page, n int) {
	if s.memory == nil || len(s.pages) > 0 || n > len(pages)*PageTokens {
		panic("engine: pages are shared by an empty sequence of a memory of pages")
	}
	for i, p := range pages[:(n+PageTokens-1)/PageTokens] {
		p.Hold()
		s.setPage(i, p)
	}
	s.tokens = n
}

// Release removes all tokens and drops the pages.
func (s *Sequence) Release() {
	for _, p := range s.pages {
		s.drop(p)
	}
	clear(s.pages)
	s.tokens, s.pages = 0, s.pages[:0]
	for i := range s.blocks {
		s.blocks[i].DropPages(0)
	}
}

func (s *Sequence) drop(p *Page) {
	if s.memory != nil {
		s.memory.Drop(p)
	}
}

func (s *Sequence) setPage(i int, p *Page) {
	if i == len(s.pages) {
		s.pages = append(s.pages, nil)
	}
	s.pages[i] = p
	for b := range s.blocks {
		s.blocks[b].SetPage(i, &p.blocks[b])
	}
}

// room gives the sequence unshared pages for the tokens from s.tokens up to s.want. Shared
// pages that it will write to are copied.
func (s *Sequence) room() error {
	for i := s.tokens / PageTokens; i*PageTokens < s.want; i++ {
		if i < len(s.pages) && s.pages[i].refs == 1 {
			continue
		}
		page, err := s.newPage()
		if err != nil {
			return err
		}
		if i < len(s.pages) {
			if n := s.tokens - i*PageTokens; n > 0 {
				for b := range page.blocks {
					page.blocks[b].CopyFrom(&s.pages[i].blocks[b], n, PageTokens)
				}
			}
			s.drop(s.pages[i])
		}
		s.setPage(i, page)
	}
	return nil
}

func (s *Sequence) newPage() (*Page, error) {
	if s.memory == nil {
		return s.model.newPage(), nil
	}
	return s.memory.take()
}
