package parallel

// ChunkTokens is the number of tokens of cols values in a chunk of work on activations:
// enough to pay for the fork.
func ChunkTokens(cols int) int { return max(1, 1<<15/max(1, cols)) }
