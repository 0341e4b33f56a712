package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant/internal/checkpoint"
)

// typeInfo is what a GGUF file has of one type of tensors.
type typeInfo struct {
	Type    string `json:"type"`
	Tensors int    `json:"tensors"`
	Weights int64  `json:"weights"`
	Bytes   int64  `json:"bytes"`
	Kept    string `json:"kept"` // the form in which they run
}

// ggufTypes lists the types of an open GGUF file, the one with most bytes first.
func ggufTypes(ck *checkpoint.Checkpoint) []typeInfo {
	byType := map[checkpoint.DType]*typeInfo{}
	var all []*typeInfo
	for _, name := range ck.Names() {
		t, err := ck.Tensor(name)
		if err != nil {
			continue
		}
		i := byType[t.DType]
		if i == nil {
			i = &typeInfo{Type: string(t.DType), Kept: "as it is"}
			if b := t.DType.Block(); b != nil {
				i.Kept = fmt.Sprintf("%d-bit integers, a scale for %d", b.Bits, b.Group)
				if b.HasMin {
					i.Kept = fmt.Sprintf("%d-bit integers, a scale and a zero point for %d", b.Bits, b.Group)
				}
			}
			byType[t.DType] = i
			all = append(all, i)
		}
		i.Tensors++
		i.Weights += int64(t.Elems())
		i.Bytes += int64(len(t.Data))
	}
	slices.SortFunc(all, func(a, b *typeInfo) int { return cmp.Compare(b.Bytes, a.Bytes) })
	var out []typeInfo
	for _, i := range all {
		out = append(out, *i)
	}
	return out
}

// gguf prints how a GGUF file's tensors are stored and in which form they run.
func (c *inspectCmd) gguf(e *env, ck *checkpoint.Checkpoint) error {
	fmt.Fprintf(e.out, "%-14s %s, version %d\n\n", "file", "GGUF", ck.GGUF.Version)
	t := newTable()
	t.AppendHeader(table.Row{"type", "tensors", "weights", "bytes", "runs as"})
	for _, i := range ggufTypes(ck) {
		t.AppendRow(table.Row{i.Type, i.Tensors, fmt.Sprintf("%.4g million", float64(i.Weights)/1e6), bytesText(i.Bytes), i.Kept})
	}
	fmt.Fprintln(e.out, t.Render())
	if ck.Quantized() {
		fmt.Fprintln(e.out, "All integers and scales are kept; a zero point is the minimum over the scale, rounded to float32. Inputs of\n"+
			"these layers are rounded to 8 bits with a scale for 32 channels, or not at all where this machine has no\n"+
			"fast kernels for that; the cache has 16 bits or more. See docs/GGUF.md.")
	}
	return nil
}
