package scheduler

import "github.com/specquant/specquant/internal/engine"

// minShared is the shortest common beginning that is worth sharing, in tokens.
const minShared = 16

// share gives a text that has not been started the longest beginning of its prompt that is in
// the cache of an ended or running text, without the last token, whose logits are needed. It
// returns false if waiting is better, because an earlier text of this round is about to compute
// more of the same beginning.
func (s *Scheduler) share(t *task, before []*task) bool {
	if t.Mean || len(t.tokens) > 0 { // for a mean every token has to be computed
		return true
	}
	want := t.Prompt[:len(t.Prompt)-1]
	pages, length := s.caches.tree.find(want, s.clock)
	var other *task
	for _, o := range s.active {
		if n := common(o.tokens, want); n > length {
			other, length = o, n
		}
	}
	for _, o := range before {
		if n := common(o.Prompt, want); len(o.tokens) < n && n >= length+minShared {
			return false
		}
	}
	if length < minShared {
		return true
	}
	if other != nil {
		pages = pages[:0]
		for i := 0; i*engine.PageTokens < length; i++ {
			pages = append(pages, other.seq.Page(i))
		}
	}
	t.seq.Share(pages, length)
	t.tokens = append(t.tokens, want[:length]...)
	t.result.Cached = length
	s.mu.Lock()
	s.stats.Cached += int64(length)
	s.mu.Unlock()
	return true
}
