package engine

import (
	"fmt"

	"github.com/specquant/specquant/internal/plural"
)

// MemoryError is the error of a KV cache that does not fit into this machine's memory.
type MemoryError struct {
	What            string // what needs it, such as "a context of 8192 tokens"
	Bytes, ATok, Of int64  // bytes of the cache, of each of its tokens, and of the machine's memory
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("%s takes %s of memory (%d a token: keys and values of all blocks, and rotary tables), and this machine has %d; %s would take half of it",
		e.What, plural.Of(e.Bytes, "byte"), e.ATok, e.Of, plural.Of(e.Of/2/max(e.ATok, 1), "token"))
}

// tokenBytes returns the bytes that a token of context takes in the caches of all blocks and in
// the rotary tables.
func (m *Model) tokenBytes() int64 {
	cache := m.newCache()
	return cache.PositionBytes()*int64(m.Config.Layers) + 8*int64(m.Config.HeadDim/2)
}

// checkMemory returns a [MemoryError] if a cache of so many tokens can't fit into this
// machine's memory. If the memory is not known, there is no error.
func (m *Model) checkMemory(tokens int, what string) error {
	each, have := m.tokenBytes(), machineMemory()
	if have <= 0 || int64(tokens) <= have/max(each, 1) {
		return nil
	}
	bytes := int64(1<<63 - 1)
	if int64(tokens) <= bytes/each {
		bytes = int64(tokens) * each
	}
	return &MemoryError{what, bytes, each, have}
}
