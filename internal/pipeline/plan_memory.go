package pipeline

import (
	"math"
	"runtime/debug"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// Sizes of the buffers in which internal/kernel/float packs the operands of matrix products for
// each thread: rows of at most so many terms with their padding, no more than fit the
// second-level cache, and a panel of columns.
const (
	packStride = 256 + 16
	packBlock  = 640 << 10
	packPanel  = 256*32 + 12*32
	packGram   = 192 * 192
)

// packedBytes returns the size of those buffers for products with at most so many rows, in
// float32 and, if the recipe has such products, in float64. The float32 buffers count twice,
// because buffers that have become too small, or were not used for a while, are garbage until
// the next collection.
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

// comparing returns what the job holds during the comparison at its end, when the blocks are no
// longer in memory.
func comparing(c *checkpoint.Config, r *recipe.Recipe, blockWeights, embedBytes int64, threads int) (items []Item, peak int64) {
	n := verifyTokens(c)
	tokens, vocab, hidden := int64(n), int64(c.VocabSize), int64(c.HiddenSize)
	head := int64(llama.MappedBytes)
	if r.Head.Bits < 16 {
		head = quantizedBytes(r.Head.Bits, r.Head.Group, c.VocabSize, c.HiddenSize)
	}
	embedding := tokens * max(4*hidden, touched)
	layer, _, _ := stage.Largest(c)
	perWeight := float64(r.Bits.Weights) + 1
	if r.Branch != nil {
		perWeight += 8
	}
	items = []Item{
		{Name: "program", Bytes: programBytes},
		{Name: "rows of the full-precision model's embedding and output matrix", Bytes: min(embedding+llama.MappedBytes, embedBytes)},
		{Name: "the same of the quantized model", Bytes: min(embedding+head, tableBytes(c, r, embedBytes))},
		{Name: "predictions of the full-precision model", Bytes: 4 * tokens * vocab},
		{Name: "one block, quantized", Bytes: int64(math.Ceil(perWeight / 8 * float64(blockWeights)))},
		{Name: "some rows of a full-precision layer", Bytes: min(llama.MappedBytes, 4*int64(layer))},
		{Name: "running the comparison", Bytes: llama.RunnerBytes(c, threads, n) + 4*tokens*hidden + 4*compareTokens*vocab},
	}
	for _, i := range items {
		peak += i.Bytes
	}
	garbage := int64(slack * float64(peak-programBytes))
	return append(items, Item{Name: "garbage between collections", Bytes: garbage}), peak + garbage
}

// touched is what becomes resident of a mapped file that the system has in memory when one
// byte of it is read: pages around it too.
const touched = 64 << 10

// compareTokens is the number of tokens whose logits the engine holds at a time.
const compareTokens = 32

// verifyTokens is the largest number of tokens of the comparison at the end.
func verifyTokens(c *checkpoint.Config) int {
	return min(256, c.MaxPositions, max(32, (16<<20)/c.VocabSize))
}

// freeMemory returns freed memory to the system, so that what earlier steps held does not
// add to what the next one holds.
func freeMemory() { debug.FreeOSMemory() }
