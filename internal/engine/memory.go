package engine

import "fmt"

// MemoryError says that a cache of keys and values does not fit this machine.
type MemoryError struct {
	What            string // what needs it, such as "a context of 8192 tokens"
	Bytes, ATok, Of int64  // what it takes, what each token of it takes, and the machine's memory
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("%s takes %d bytes of memory (%d a token: keys and values of all blocks, and rotary tables), and this machine has %d; %d tokens would take half of it",
		e.What, e.Bytes, e.ATok, e.Of, e.Of/2/max(e.ATok, 1))
}

// tokenBytes is the memory that a token of context takes: in the caches of all blocks,
// and of the rotary tables.
func (m *Model) tokenBytes() int64 {
	cache := m.newCache()
	return cache.PositionBytes()*int64(m.Config.Layers) + 8*int64(m.Config.HeadDim/2)
}

// checkMemory refuses a number of tokens whose cache can't fit this machine's memory,
// before any of it is asked for. Where the memory is not known, nothing is refused.
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
