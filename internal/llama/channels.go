package llama

import "github.com/specquant/specquant/internal/checkpoint"

// ValueChannels maps each channel of the attention's output, [heads × head_dim], to the
// channel of the values, [kv_heads × head_dim], that it is a weighted mean of: the same for
// all query heads that share a kv head.
func ValueChannels(c *checkpoint.Config) []int {
	from := make([]int, c.Heads*c.HeadDim)
	for i := range from {
		from[i] = i/c.HeadDim/(c.Heads/c.KVHeads)*c.HeadDim + i%c.HeadDim
	}
	return from
}
