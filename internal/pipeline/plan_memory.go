package pipeline

import (
	"math"
	"runtime/debug"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// Limit makes the garbage collector keep to the plan: it runs often enough for the
// share of garbage that the plan counts, and more often where the heap comes near
// the plan's peak, giving freed memory back at once. The function that it returns
// puts the process's settings back.
func (p *Plan) Limit() (restore func()) {
	percent := debug.SetGCPercent(gcPercent)
	limit := debug.SetMemoryLimit(max(p.Peak-filePages, 1))
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// filePages is the part of [programBytes] that Go's runtime does not have in its
// hands: pages of the binary.
const filePages = 14 << 20

// stageMemory is what is held for a while only: by whichever of the stages needs
// most, which come one after the other.
func stageMemory(c *checkpoint.Config, r *recipe.Recipe, threads, windows, tokens int) []Item {
	layer, out, in := stage.Largest(c)
	stages := [][]Item{{ // solving
		{"factor of the widest Hessian", factorBytes(r, in)},
		{"the largest layer, column by column", solveBytes(r, layer)},
	}}
	add := func(name string, bytes int64) { stages = append(stages, []Item{{name, bytes}}) }
	if r.Smooth != nil && r.Smooth.Method == recipe.SmoothAWQ {
		add("outputs that AWQ compares", awqBytes(c, layer, windows, tokens))
	}
	if r.Weights.Clip == recipe.ClipAWQ {
		add("AWQ's search for clips", awqClipBytes(r, layer, out, in))
	}
	if b := r.Branch; b.Stored() {
		var most int64
		for input := range llama.NumInputs {
			n := input.Width(c)
			outputs := readersOutputs(c, input)
			k := b.Dimensions(n, outputs)
			if k == 0 || !b.Has(input) {
				continue
			}
			bytes := linalg.LeadingBytes(n, k) + 4*int64(k)*int64(n)
			if b.Basis == recipe.BasisSVD {
				bytes += 8 * int64(n) * int64(n)
			}
			if b.Iterated() {
				bytes = stage.LowRankBytes(b, outputs, n, k) + 4*int64(min(stage.SampleTokens, windows*tokens))*int64(k)
			}
			most = max(most, bytes)
		}
		if b.Iterated() {
			add("singular vectors of the branch", most)
		} else {
			add("the branch's eigenproblem", most)
		}
	}
	if stage.Transforms(r).Cache == artefact.Balanced {
		// Sums of each kv head, and of one what Balance works on: eight matrices,
		// beside the eigenproblem.
		d := int64(c.HeadDim)
		add("moments of queries and keys", 2*8*int64(c.KVHeads)*d*d+8*8*d*d+linalg.LeadingBytes(c.HeadDim, c.HeadDim)+4*int64(c.KVHeads)*d*d)
	}
	var items []Item
	var most int64
	for _, s := range stages {
		var sum int64
		for _, i := range s {
			sum += i.Bytes
		}
		if sum > most {
			items, most = s, sum
		}
	}
	if b := r.Branch; b != nil && !b.Stored() {
		// The pool of rooms outlives the stage.
		items = append(items, Item{"the branch's channels", channelBytes(threads, max(in, out))})
	}
	return items
}

// factorBytes is what the factor of a Hessian of width n takes, and none takes none.
func factorBytes(r *recipe.Recipe, n int) int64 {
	if !r.NeedsHessian() {
		return 0
	}
	return stage.FactorBytes(n, r.Solve)
}

func solveBytes(r *recipe.Recipe, layer int) int64 {
	if r.Solve.Method != "gptq" {
		return 0
	}
	return stage.SolveBytes(layer, r.Solve)
}

// awqBytes is the exact output that the trials are compared with, and the rounded
// weights of an input's readers that the worker's own rooms do not have place for.
func awqBytes(c *checkpoint.Config, layer, windows, tokens int) int64 {
	_, out, _ := stage.Largest(c)
	outputs := max(int64(stage.AWQWindows(windows, tokens)*tokens)*int64(c.HiddenSize), int64(min(stage.SampleTokens, windows*tokens))*int64(out))
	var beyond int64
	for in := range llama.NumInputs {
		free := []int{layer, layer}
		var more int64
	readers:
		for _, l := range in.Readers() {
			o, i := l.Shape(c)
			for k, f := range free {
				if f >= o*i {
					free[k] -= o * i
					continue readers
				}
			}
			more += int64(o) * int64(i)
		}
		beyond = max(beyond, more)
	}
	return 4 * (outputs + beyond)
}

// awqClipBytes is a copy of the largest layer, and what [stage.AWQClip] holds of
// one group of all its rows: codes, the clipped weights, their errors, the errors
// times the group's Gram matrix; and that matrix.
func awqClipBytes(r *recipe.Recipe, layer, out, in int) int64 {
	width := in
	if g := r.Weights.Group; g > 0 {
		width = min(g, in)
	}
	return 4*int64(layer) + int64(out)*int64(width)*(1+3*4) + int64(width)*int64(width)*(8+4)
}

// readersOutputs is the number of outputs of an input's readers together.
func readersOutputs(c *checkpoint.Config, in llama.Input) (outputs int) {
	for _, l := range in.Readers() {
		o, _ := l.Shape(c)
		outputs += o
	}
	return outputs
}

// Sizes of what internal/spectrum keeps for each thread: the channels that are
// transformed together, with the padding of each, and the vectors of those that go
// by products.
const (
	spectrumChannels = 64
	spectrumPadding  = 8
	spectrumDirect   = 64
)

// channelBytes is the float64 memory in which channels of n are transformed: a
// block of them and its coefficients for each thread, and the basis vectors, those
// of the call before beside them.
func channelBytes(threads, n int) int64 {
	block := spectrumChannels*int64(n+spectrumPadding) + spectrumChannels*spectrumDirect
	return 8 * (int64(threads)*block + 2*spectrumDirect*int64(n))
}

// Sizes of what internal/kernel keeps for each thread to pack the operands of its
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
		{"program", programBytes},
		{"embedding and output matrix, as the file has them", embedBytes},
		{"predictions of the full-precision model", 4 * tokens * vocab},
		{"one block of either model", max(4*blockWeights, int64(math.Ceil(perWeight/8*float64(blockWeights))))},
		{"running the comparison", llama.RunnerBytes(c, threads, n) + 4*tokens*int64(c.HiddenSize) + 4*compareTokens*vocab},
	}
	for _, i := range items {
		peak += i.Bytes
	}
	garbage := int64(slack * float64(peak-programBytes-embedBytes))
	return append(items, Item{"garbage between collections", garbage}), peak + garbage
}

// compareTokens is how many tokens' logits the engine has in memory together.
const compareTokens = 32

// verifyTokens is how many tokens the finished artefact is compared on, at most.
func verifyTokens(c *checkpoint.Config) int {
	return min(256, c.MaxPositions, max(32, (16<<20)/c.VocabSize))
}

// freeMemory gives back what a stage of the job has left behind, so that it does not
// add to what the next one holds.
func freeMemory() { debug.FreeOSMemory() }
