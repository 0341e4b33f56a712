package pipeline

import (
	"bytes"
	"encoding/json"
	"path/filepath"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/stage"
)

// Item is a named amount of memory.
type Item = stage.Item

// programBytes is the memory of the process that does not depend on the model: pages of the
// binary, Go's runtime, stacks.
const programBytes = 24 << 20

// slack is the largest amount of garbage as a share of the live memory: the collector runs when
// the heap has grown by gcPercent.
const (
	gcPercent = 10
	slack     = gcPercent / 100.
)

// tableBytes returns the size of embedding and output matrix in the artefact; copied is their
// size in the checkpoint.
func tableBytes(c *checkpoint.Config, r *recipe.Recipe, copied int64) int64 {
	size := func(t recipe.Table) int64 {
		return artefact.LinearBytes(t.Grid(), c.VocabSize, c.HiddenSize)
	}
	switch {
	case r.Head.Bits == 16 && r.Embedding.Bits == 16 && c.TieEmbeddings && !staysTied(c, r):
		return 2 * copied
	case r.Head.Bits == 16 && r.Embedding.Bits == 16:
		return copied
	case staysTied(c, r):
		return size(r.Head.Table())
	}
	return size(r.Head.Table()) + size(r.Embedding)
}

// staysTied reports whether embedding and output matrix are one tensor in the checkpoint and
// stay one in the artefact. (A rotation of the residual stream makes them different.) Then the
// recipe's head decides its format.
func staysTied(c *checkpoint.Config, r *recipe.Recipe) bool {
	return c.TieEmbeddings && (r.Rotate == nil || r.Rotate.Residual == "")
}

// routerBytes is the size of the routers of experts, in 32 bits.
func routerBytes(c *checkpoint.Config) (total int64) {
	for i := range c.Layers {
		total += 4 * int64(c.Of(i).Experts.Count) * int64(c.HiddenSize)
	}
	return total
}

// q4Bytes is the size of llama.cpp's Q4_0 file of the model, made without an importance matrix (with
// one it is up to half a percent larger): 4.5 bits a weight in the blocks and in an embedding that is
// not the output matrix, 8.5 or (where the width is a multiple of 256) 6.5625 in the output matrix,
// norms in 32 bits, and the vocabulary, which takes a little more than the tokenizer's files without
// white space.
func q4Bytes(c *checkpoint.Config, tokenizer int64) int64 {
	var weights int64
	for i := range c.Layers {
		of := c.Of(i)
		for _, l := range llama.Layers(of) {
			rows, cols := l.Shape(of)
			weights += int64(rows) * int64(cols)
		}
	}
	table := int64(c.VocabSize) * int64(c.HiddenSize)
	output := table * 85 / 80
	if c.HiddenSize%256 == 0 {
		output = table * 105 / 128
	}
	norms := 4 * int64(2*c.Layers+1) * int64(c.HiddenSize)
	total := weights*9/16 + routerBytes(c) + output + norms + tokenizer
	if !c.TieEmbeddings {
		total += table * 9 / 16
	}
	return total
}

// sideFile reads a file that is copied to the artefact. JSON is copied without white space
// between values, which is often half of a tokenizer.json.
func sideFile(path string) ([]byte, error) {
	data, err := input.ReadFile(path, 4*input.MaxSmall)
	if err != nil || filepath.Ext(path) != ".json" {
		return data, err
	}
	var short bytes.Buffer
	if json.Compact(&short, data) != nil {
		return data, nil // invalid JSON is reported by the code that uses it
	}
	return append(short.Bytes(), '\n'), nil
}
