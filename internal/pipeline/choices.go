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
	Filled        bool    // layers have different bits, by a size or an average: Bits is that of most
	Head          int     // bits of the output matrix
	Group         int     // of weights that share a scale; 0: one scale a row
	Multiples     bool    // scales are multiples of their row's
	BitsPerWeight float64 // of the linear layers of the blocks, with their scales, branches and keys
	File          int64   // all of the folder, about
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

// newChoices lists the settings: 16 bits, 8 to 2 bits in all layers as --bits gives them, each with the
// smallest groups, with those of the recipe and with one scale for each row; and what the plan is of, if it
// is none of these because it fills a size or an average. asked is the recipe before it was adapted to the
// model, r after. embedBytes is the size of embedding and output matrix in the checkpoint, blocks that of
// all other tensors, side that of the files that are copied.
func newChoices(c *checkpoint.Config, asked, r *recipe.Recipe, embedBytes, blocks, side int64, threads int) *Choices {
	out := &Choices{Config: c, Free: freeRAM(), Fits: -1}
	weights, routers := linearWeights(c), routerBytes(c)
	run := func(file int64, kv, context, sequences int) Running {
		return runningBytes(c, file-side, kv, threads, min(context, c.MaxPositions), sequences)
	}
	add := func(ch Choice, kv int, linear, parts, head int64) {
		ch.BitsPerWeight, ch.Read = 8*float64(linear-routers+parts)/float64(weights), linear+head
		for k, context := range choiceContexts {
			if k > 0 && choiceContexts[k-1] >= c.MaxPositions {
				break // the model has no longer one
			}
			for _, n := range choiceSequences {
				ch.Running = append(ch.Running, run(ch.File, kv, context, n))
			}
		}
		out.All = append(out.All, ch)
	}
	addRecipe := func(own *recipe.Recipe, chosen bool) {
		w := &own.Weights
		parts, _ := partBytes(c, own)
		add(Choice{Bits: own.Bits.Weights, Filled: w.Filled > 0, Head: own.Head.Bits, Group: w.Group, Multiples: w.Scales == quant.ScalesMultiples,
			File: folderAbout(c, own, embedBytes, side), Recipe: own, Chosen: chosen}, own.Bits.KV,
			linearBytes(c, own), parts, artefact.LinearBytes(own.Head.Table().Grid(), c.VocabSize, c.HiddenSize))
	}
	add(Choice{Bits: quant.FullBits, Head: quant.FullBits, File: embedBytes + blocks + side}, quant.Full.KV, blocks, 0, 2*int64(c.VocabSize)*int64(c.HiddenSize))
	found := false
	for bits := quant.WeightBits[len(quant.WeightBits)-1]; bits >= quant.WeightBits[0]; bits-- {
		for _, own := range uniform(c, asked, quant.Bits{Weights: bits, Activations: r.Bits.Activations, KV: r.Bits.KV}) {
			chosen := r.Weights.Filled == 0 && own.Bits == r.Bits && sameGrid(&own.Weights, &r.Weights) && own.Head == r.Head && own.Embedding == r.Embedding
			found = found || chosen
			addRecipe(own, chosen)
		}
	}
	if !found {
		addRecipe(r, true)
	}
	slices.SortStableFunc(out.All, func(a, b Choice) int { return cmp.Compare(b.File, a.File) })
	for i, ch := range out.All {
		if out.Free > 0 && out.Fits < 0 && run(ch.File, r.Bits.KV, askedContext, 1).Bytes <= out.Free {
			out.Fits = i
		}
	}
	return out
}

// uniform lists what a recipe makes of a model with these bits in all layers that it does not name.
func uniform(c *checkpoint.Config, asked *recipe.Recipe, b quant.Bits) (list []*recipe.Recipe) {
	own := *asked
	if own.SetBits(b) != nil {
		return nil // 2 to 8 bits are always possible
	}
	own.Weights.Average, own.Weights.Widths = 0, nil
	if staysTied(c, &own) {
		own.Embedding = own.Head.Table()
	}
	grids := slices.DeleteFunc(own.Weights.Grids(), func(w recipe.Weights) bool { return !w.Can(b.Weights) })
	for _, w := range []recipe.Weights{grids[0], own.Weights, grids[len(grids)-1]} {
		if slices.ContainsFunc(list, func(r *recipe.Recipe) bool { return sameGrid(&r.Weights, &w) }) {
			continue
		}
		one := own
		one.Weights = w
		list = append(list, &one)
	}
	return list
}

func sameGrid(a, b *recipe.Weights) bool { return a.Group == b.Group && a.Scales == b.Scales }

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
