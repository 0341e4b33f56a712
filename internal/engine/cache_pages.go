package engine

import (
	"fmt"

	"github.com/specquant/specquant/internal/kernel"
)

// PageTokens is the number of tokens of a page.
const PageTokens = kernel.KVPage

// Page is the keys and values of PageTokens tokens that lie behind each other in a text, in
// all blocks. It may be part of several sequences, and be held besides; the sequence that
// writes into a page that others have too gets a copy of its own first. All who share a
// page belong to one goroutine at a time.
type Page struct {
	refs   int
	blocks []kernel.KVCache
}

// Hold says that one more has the page.
func (p *Page) Hold() { p.refs++ }

// Pages is memory for the caches of many sequences of a model. It belongs to one goroutine
// at a time.
type Pages struct {
	// Evict is called when all pages are in use: it may drop some that are held, and says
	// whether it has. nil: there is none to be dropped.
	Evict func() bool

	model *Model
	limit int // pages
	made  int
	free  []*Page
}

// NewPages makes memory for at most so many pages. It is taken as it is needed.
func (m *Model) NewPages(limit int) *Pages { return &Pages{model: m, limit: limit} }

// PagesError says that the pages are used up.
type PagesError struct{ Limit int }

func (e *PagesError) Error() string {
	return fmt.Sprintf("all %d pages of %d tokens of the cache are in use", e.Limit, PageTokens)
}

// PageBytes is the memory of a page.
func (m *Model) PageBytes() int64 { return PageTokens * m.CacheBytes() }

// Bytes is the memory of all pages that have been made.
func (p *Pages) Bytes() int64 { return int64(p.made) * p.model.PageBytes() }

// NewSequence starts an empty sequence whose pages are of this memory.
func (p *Pages) NewSequence() *Sequence {
	s := p.model.NewSequence()
	s.memory = p
	return s
}

// take gives a page of zeros that one holds.
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

// Drop says that one less has the page. The last one's page is free for others, who are
// not to see what it held, which may be NaN.
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

// Page is the i-th page of the sequence.
func (s *Sequence) Page(i int) *Page { return s.pages[i] }

// Share makes an empty sequence hold n tokens that lie in pages of the same memory: what
// follows is computed as if it had been fed them.
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

// Release forgets all tokens and gives the pages back.
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

// room gives the sequence pages of its own for the tokens up to s.want, with what they hold
// of the first s.tokens.
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
