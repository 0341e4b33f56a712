package parallel

// ChunkTokens returns how many tokens, of cols activations each, one chunk of work should
// have: about 32,768 activations, so that its work takes much longer than handing it to a
// thread.
func ChunkTokens(cols int) int { return max(1, 1<<15/max(1, cols)) }
