package scheduler

import "github.com/specquant/specquant/internal/engine"

// caches are the KV caches of a model: those of texts in progress, and a tree of those of ended
// ones.
type caches struct {
	memory *engine.Pages
	tree   tree
}

func newCaches(m *engine.Model, o Options) *caches {
	c := &caches{memory: m.NewPages(pages(m, o))}
	c.tree = tree{memory: c.memory, most: o.Slots + o.Keep}
	c.memory.Evict = c.tree.evict
	return c
}

// begin starts a sequence with the longest beginning of a text that is kept.
func (c *caches) begin(text []int, now uint64) *engine.Sequence {
	seq := c.memory.NewSequence()
	if pages, n := c.tree.find(text, now); n >= minShared {
		seq.Share(pages, n)
	}
	return seq
}

// end keeps what a sequence holds of a text, and releases it.
func (c *caches) end(text []int, seq *engine.Sequence, now uint64) {
	c.tree.add(text[:min(len(text), seq.Tokens())], seq.Page, now)
	seq.Release()
}

// CacheLimit returns the most memory in bytes that the KV caches of a scheduler can take, with
// those of its draft model.
func CacheLimit(m *engine.Model, o Options) int64 {
	o.defaults()
	n := int64(pages(m, o)) * m.PageBytes()
	if d := o.Draft; d != nil {
		n += int64(pages(d, o)) * d.PageBytes()
	}
	return n
}

// pages is the most pages that a model's caches take: those of whole contexts, and one that is
// being copied.
func pages(m *engine.Model, o Options) int {
	return (o.Slots+o.Keep)*((m.Context+engine.PageTokens-1)/engine.PageTokens) + 1
}
