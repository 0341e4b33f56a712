package pipeline

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/kernel/kv"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// The choices that plan shows for a model: for each width and group of the weights, the size of
// the result and the memory to run it. Package forecast adds its speed.

// Choice is the recipe with one setting of the weights' bits and group. Sizes are in bytes.
type Choice struct {
	Bits          int     // of a weight; 16: not quantized
	Group         int     // of weights that share a scale; 0: one scale a row
	Multiples     bool    // scales are multiples of their row's
	BitsPerWeight float64 // of the linear layers of the blocks, scales counted
	File          int64   // about
	Running       []Running
	Chosen        bool           // by the recipe and the options of the plan
	Recipe        *recipe.Recipe // nil: not quantized
	Read          int64          // of weights for each token: those of a token's experts, and the output matrix
}

// Running is the memory of a model that runs: weights, cache, scratch, and garbage between
// collections.
type Running struct {
	Context, Sequences int // tokens of each sequence, no more than the model has
	Bytes              int64
}

// Choices lists the settings from the largest to the smallest.
type Choices struct {
	All    []Choice
	Free   int64              // memory of the machine that is free now; 0: not known
	Config *checkpoint.Config // of the model
	Fits   int                // of All: the first that runs with 8,192 tokens of context in what is free; -1: none
}

// The contexts and numbers of sequences for which the memory is shown.
var (
	choiceContexts  = []int{2048, 8192, 32768}
	choiceSequences = []int{1, 8}
)

const (
	askedContext = 8192 // that [Choices].Fits is about
	batchRows    = 512  // tokens that the runtime takes through a block at a time, at most
)

// newChoices lists the settings: 16 bits, and 8 to 2 bits, each with the finest scales, with one
// for each row, and with those of the recipe. asked is the recipe before it was adapted to the
// model, r after. embedBytes is the size of embedding and output matrix in the checkpoint, blocks
// that of all other tensors.
func newChoices(c *checkpoint.Config, asked, r *recipe.Recipe, embedBytes, blocks int64, threads int) *Choices {
	out := &Choices{Config: c, Free: freeRAM(), Fits: -1}
	weights, routers := linearWeights(c), routerBytes(c)
	add := func(bits, group, kv int, file, linear, head int64, own *recipe.Recipe) {
		ch := Choice{Bits: bits, Group: group, File: file, BitsPerWeight: 8 * float64(linear-routers) / float64(weights), Recipe: own, Read: linear + head}
		if own != nil {
			ch.Multiples = own.Weights.Scales == quant.ScalesMultiples
			ch.Chosen = bits == r.Bits.Weights && group == r.Weights.Group && own.Weights.Scales == r.Weights.Scales
		}
		for k, context := range choiceContexts {
			if k > 0 && choiceContexts[k-1] >= c.MaxPositions {
				break // the model has no longer one
			}
			for _, n := range choiceSequences {
				ch.Running = append(ch.Running, runningBytes(c, file, kv, threads, min(context, c.MaxPositions), n))
			}
		}
		out.All = append(out.All, ch)
	}
	add(quant.FullBits, 0, quant.Full.KV, embedBytes+blocks, blocks, 2*int64(c.VocabSize)*int64(c.HiddenSize), nil)
	for bits := 8; bits >= 2; bits-- {
		finest := asked.Weights.Finest(bits)
		for i, w := range finest {
			if i > 0 && i < len(finest)-1 && (w.Group != r.Weights.Group || w.Scales != r.Weights.Scales) {
				continue
			}
			own := *asked
			own.Bits.Weights, own.Weights = bits, w
			if bits == r.Bits.Weights && w.Group == r.Weights.Group && w.Scales == r.Weights.Scales {
				own = *r // with layers of other bits, if a size is filled
			}
			linear := linearBytes(c, &own)
			head := artefact.LinearBytes(own.Head.Table().Grid(), c.VocabSize, c.HiddenSize)
			add(bits, w.Group, r.Bits.KV, tableBytes(c, &own, embedBytes)+linear, linear, head, &own)
		}
	}
	if !slices.ContainsFunc(out.All, func(ch Choice) bool { return ch.Chosen }) { // a grid that only a size chooses
		linear := linearBytes(c, r)
		head := artefact.LinearBytes(r.Head.Table().Grid(), c.VocabSize, c.HiddenSize)
		add(r.Bits.Weights, r.Weights.Group, r.Bits.KV, tableBytes(c, r, embedBytes)+linear, linear, head, r)
	}
	slices.SortStableFunc(out.All, func(a, b Choice) int { return cmp.Compare(b.File, a.File) })
	for i, ch := range out.All {
		if out.Free > 0 && out.Fits < 0 && runningBytes(c, ch.File, r.Bits.KV, threads, min(askedContext, c.MaxPositions), 1).Bytes <= out.Free {
			out.Fits = i
		}
	}
	return out
}

// By how many percent the heap of a running model may grow between garbage collections (GOGC):
// weights are not on it, cache and scratch are.
const (
	RunHeapPercent   = 40 // one sequence, in the commands run and chat
	ServeHeapPercent = 20 // most of it are caches, which are looked through in no time
)

// runningBytes returns the memory of a running model whose file has the given size, with a
// cache of kvBits bits.
func runningBytes(c *checkpoint.Config, file int64, kvBits, threads, context, sequences int) Running {
	cache := kv.Cache{Bits: kvBits, Heads: c.KVHeads, HeadDim: c.HeadDim}
	heap := int64(c.Layers)*int64(context)*int64(sequences)*cache.PositionBytes() +
		llama.BatchBytes(c, threads, min(batchRows, context), context, sequences) + 4*int64(sequences)*int64(c.VocabSize)
	percent := int64(RunHeapPercent)
	if sequences > 1 {
		percent = ServeHeapPercent
	}
	return Running{Context: context, Sequences: sequences, Bytes: programBytes + file + heap + heap*percent/100}
}

// freeRAM returns the available memory in bytes; 0 if the system does not report it.
func freeRAM() int64 {
	data, err := input.ReadFile("/proc/meminfo", input.MaxSmall)
	if err != nil {
		return 0
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		var kB int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kB); n == 1 {
			return kB << 10
		}
	}
	return 0
}
