package pipeline

import (
	"math"
	"runtime/debug"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
)

// Sizes of what internal/kernel/float keeps for each thread to pack the operands of its
// products: rows of at most so many terms with their padding, no more than fit the
// second-level cache, and a panel of columns.
const (
	packStride = 256 + 16
	packBlock  = 640 << 10
	packPanel  = 256*32 + 12*32
	packGram   = 192 * 192
)

// packedBytes is the memory of products with at most so many rows, in float32 and,
// where a recipe has any, in float64. What is no longer large enough, or nobody has
// asked for since the collection before last, is garbage; of the float32 products,
// which never stop, as much again.
func packedBytes(r *recipe.Recipe, threads int, rows int64) int64 {
	each := min(packBlock, 4*packStride*rows) + 4*packPanel
	if r.NeedsHessian() || r.Weights.Clip == recipe.ClipAWQ {
		each += 4 * packGram
	}
	each *= 2
	if r.Solve.Method == "gptq" || r.Branch.Stored() {
		each += min(packBlock, 8*packStride*rows) + 8*packPanel
	}
	return int64(threads) * each
}

// comparing is what the job holds at its end, when blocks are done with: predictions
// of both models are compared on a few tokens.
func comparing(c *checkpoint.Config, r *recipe.Recipe, blockWeights, embedBytes int64, threads int) (items []Item, peak int64) {
	n := verifyTokens(c)
	tokens, vocab := int64(n), int64(c.VocabSize)
	perWeight := float64(r.Bits.Weights) + 1
	if r.Branch != nil {
		perWeight += 8
	}
	items = []Item{
		{Name: "program", Bytes: programBytes},
		{Name: "embedding and output matrix, as the file has them", Bytes: embedBytes},
		{Name: "predictions of the full-precision model", Bytes: 4 * tokens * vocab},
		{Name: "one block of either model", Bytes: max(4*blockWeights, int64(math.Ceil(perWeight/8*float64(blockWeights))))},
		{Name: "running the comparison", Bytes: llama.RunnerBytes(c, threads, n) + 4*tokens*int64(c.HiddenSize) + 4*compareTokens*vocab},
	}
	for _, i := range items {
		peak += i.Bytes
	}
	garbage := int64(slack * float64(peak-programBytes-embedBytes))
	return append(items, Item{Name: "garbage between collections", Bytes: garbage}), peak + garbage
}

// compareTokens is how many tokens' logits the engine has in memory together.
const compareTokens = 32

// verifyTokens is how many tokens the finished artefact is compared on, at most.
func verifyTokens(c *checkpoint.Config) int {
	return min(256, c.MaxPositions, max(32, (16<<20)/c.VocabSize))
}

// freeMemory returns freed memory to the system, so that what earlier steps held does not
// add to what the next one holds.
func freeMemory() { debug.FreeOSMemory() }
