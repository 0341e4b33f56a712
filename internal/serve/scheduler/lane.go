package scheduler

import "github.com/specquant/specquant/internal/engine"

// lane is the cache of one text: of one that is being generated, or of one that has
// ended, kept because the next turn of the conversation begins with it.
type lane struct {
	seq    *engine.Sequence
	tokens []int  // what seq holds
	task   *task  // nil: idle
	used   uint64 // when it was last in use, in rounds of a clock; 0: never
}

// minCopy is the shortest beginning that is worth copying from another lane, in tokens.
const minCopy = 16

// truncate forgets all but the first n tokens.
func (l *lane) truncate(n int) {
	l.seq.Truncate(n)
	l.tokens = l.tokens[:n]
}

// common is the number of tokens that both begin with.
func common(a, b []int) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// take chooses an idle lane for a prompt and makes it hold as much of the prompt's
// beginning as any lane does, less the last token, whose logits are needed; anew: none of
// it, because every token is to be computed. There must be an idle lane.
func (s *Scheduler) take(prompt []int, anew bool) *lane {
	want := prompt[:len(prompt)-1]
	if anew {
		want = nil
	}
	var best, oldest *lane
	length := 0
	for _, l := range s.lanes {
		if n := common(l.tokens, want); n > length {
			best, length = l, n
		}
		if l.task == nil && (oldest == nil || l.used < oldest.used) {
			oldest = l
		}
	}
	// A conversation that goes on keeps its lane. What merely begins like another one,
	// because they share a system message, gets a copy of the beginning in the lane that
	// has been idle longest.
	if best != nil && best.task == nil && (best == oldest || 2*length >= len(best.tokens)) {
		best.truncate(length)
		return best
	}
	if length < minCopy || best == oldest {
		oldest.truncate(0)
		return oldest
	}
	oldest.seq.CopyPrefix(best.seq, length)
	oldest.tokens = append(oldest.tokens[:0], prompt[:length]...)
	return oldest
}
