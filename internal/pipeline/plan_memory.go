package pipeline

import (
	"runtime/debug"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
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
// longer in memory: first the full-precision model runs, a window at a time, then the quantized
// one, all windows together.
func comparing(c *checkpoint.Config, r *recipe.Recipe, blockWeights, embedBytes int64, threads int) (items []Item, peak int64) {
	n := verifyTokens(c)
	tokens, vocab, hidden := int64(n), int64(c.VocabSize), int64(c.HiddenSize)
	head := int64(llama.MappedBytes)
	if r.Head.Bits < 16 {
		head = artefact.LinearBytes(r.Head.Table().Grid(), c.VocabSize, c.HiddenSize)
	}
	rows := tokens * max(4*hidden, touched)
	layer, _, _ := stage.Largest(c)
	quantized, _ := stage.QuantizedBytes(c, r)
	if r.Branch != nil {
		quantized += blockWeights // 8 bits a weight, at most
	}
	both := []Item{
		{Name: "program", Bytes: programBytes},
		{Name: "rows of the full-precision model's embedding", Bytes: min(rows, embedBytes)},
		{Name: "predictions of the full-precision model", Bytes: 4 * tokens * vocab},
	}
	for _, own := range [][]Item{
		{
			{Name: "some rows of its layers and of its output matrix", Bytes: min(llama.MappedBytes, max(4*int64(layer), embedBytes))},
			{Name: "running it", Bytes: llama.RunnerBytes(c, threads, min(n, verifyWindow)) + 4*tokens*hidden},
		},
		{
			{Name: "rows of the quantized model's embedding, and its output matrix", Bytes: min(rows+head, tableBytes(c, r, embedBytes))},
			{Name: "one block, quantized", Bytes: quantized},
			{Name: "running the quantized model", Bytes: llama.RunnerBytes(c, threads, n) + 4*tokens*hidden + 4*compareTokens*vocab},
		},
	} {
		all, sum := slices.Concat(both, own), int64(0)
		for _, i := range all {
			sum += i.Bytes
		}
		garbage := int64(slack * float64(sum-programBytes))
		if sum += garbage; sum > peak {
			items, peak = append(all, Item{Name: "garbage between collections", Bytes: garbage}), sum
		}
	}
	return items, peak
}

// touched is what becomes resident of a mapped file that the system has in memory when one
// byte of it is read: pages around it too.
const touched = 64 << 10

// compareTokens is the number of tokens whose logits the engine holds at a time.
const compareTokens = 32

// verifyWindow is the number of tokens of each window for the comparison of the finished
// artefact. Several short windows are more representative than one long one.
const verifyWindow = 64

// verifyTokens is the largest number of tokens of the comparison at the end.
func verifyTokens(c *checkpoint.Config) int {
	return min(256, c.MaxPositions, max(32, (16<<20)/c.VocabSize))
}

// freeMemory returns freed memory to the system, so that what earlier steps held does not
// add to what the next one holds.
func freeMemory() { debug.FreeOSMemory() }
