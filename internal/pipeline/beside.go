package pipeline

import (
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/learn"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
	"github.com/specquant/specquant/internal/stage"
)

// What an artefact's folder holds beside the integers and scales of its matrices and the files that are
// copied: branches, learned transforms, balanced keys, norms and biases, and what is said about all of
// them in the manifest, the index, the configuration and the headers of the files.

// Bytes of text, as far as they do not depend on names. A layer's report is in the manifest and in its
// block's file.
const (
	toldTensor   = 106     // in a header and in the index, without twice its name
	toldLayer    = 600     // its report
	toldActs     = 200     // … and what calibration adds to it
	toldMost     = 1900    // both with eight outliers, and its bits where they are not those of most
	toldBlock    = 260     // a file: its hash, and what is padded
	toldRest     = 4 << 10 // recipe, rotations, configuration and the like
	toldRestMost = 8 << 10
)

// besideBytes returns how much that is, about, and at most. Bytes of the copied files are not counted.
func besideBytes(c *checkpoint.Config, r *recipe.Recipe) (about, most int64) {
	data, tensors := partBytes(c, r)
	for i := range c.Layers {
		bytes, n := transformBytes(c, r, i)
		data, tensors = data+bytes, tensors+n
	}
	names, layers := 50*tensors, int64(0) // lengths of all names, number of matrices
	each := int64(2)                      // tensors of a matrix
	if r.Weights.Scales == quant.ScalesMultiples || r.Weights.Zero == quant.ZeroAsymmetric {
		each++
	}
	for _, t := range c.Expected() {
		n, length := int64(1), int64(len(t.Name))
		if len(t.Shape) == 1 {
			data += 4 * int64(t.Shape[0])
		} else {
			n = each
			layers++
		}
		tensors += n
		names += n * (length + 3)
	}
	data += toldTensor*tensors + 2*names + toldBlock*int64(c.Layers+1)
	report := int64(toldLayer)
	if r.NeedsCalibration() {
		report += toldActs
	}
	return data + report*layers + toldRest, data + toldMost*layers + toldRestMost
}

// partBytes returns the most that keys and branches take, which count as bits of the layers' weights, and
// the number of their tensors.
func partBytes(c *checkpoint.Config, r *recipe.Recipe) (bytes, tensors int64) {
	bytes, tensors = keyBytes(c, r)
	for i := range c.Layers {
		b, n := branchBytes(c, r, i)
		bytes, tensors = bytes+b, tensors+n
	}
	return bytes, tensors
}

// folderAbout is the size of an artefact's folder, about; copied is that of embedding and output matrix in
// the checkpoint, side that of the files that are copied.
func folderAbout(c *checkpoint.Config, r *recipe.Recipe, copied, side int64) int64 {
	about, _ := besideBytes(c, r)
	return tableBytes(c, r, copied) + linearBytes(c, r) + about + side
}

// experts lists those of a block that have to be looked at, -1 where it has none, and how many each
// stands for.
func experts(of *checkpoint.Config, r *recipe.Recipe) (list []int, same int64) {
	switch n := of.Experts.Count; {
	case n == 0:
		return []int{-1}, 1
	case !r.Weights.TellsExperts():
		return []int{0}, int64(n)
	default:
		for e := range n {
			list = append(list, e)
		}
		return list, 1
	}
}

// branchBytes returns the most that the branches of block i take, and the number of their tensors.
func branchBytes(c *checkpoint.Config, r *recipe.Recipe, i int) (bytes, tensors int64) {
	if r.Branch == nil {
		return 0, 0
	}
	of, r := c.Of(i), r.InBlock(i)
	for in := range llama.NumInputs {
		list, same := []int{-1}, int64(1)
		if in >= llama.MLPInput {
			list, same = experts(of, r)
		}
		for _, expert := range list {
			b, n := inputBranch(of, r, llama.TensorPrefix(i), in, expert)
			bytes, tensors = bytes+same*b, tensors+same*n
		}
	}
	return bytes, tensors
}

// inputBranch returns the same for the layers that read an input, of an expert or (-1) of none.
func inputBranch(of *checkpoint.Config, r *recipe.Recipe, prefix string, in llama.Input, expert int) (bytes, tensors int64) {
	const tile = 16 // outputs whose coefficients lie together
	b := r.Branch
	padded := func(out int) int64 { return int64((out + tile - 1) / tile * tile) }
	if b.Stored() {
		layers, k := stage.BranchOf(of, r, prefix, in, expert)
		if k == 0 {
			return 0, 0
		}
		width, scale := int64(b.Width()/8), int64(0)
		if b.Width() == 8 {
			scale = 2 // of each vector, and of its coefficients in each layer
		}
		numbers := int64(in.Width(of))
		for _, l := range layers {
			out, _ := l.Shape(of)
			numbers += padded(out)
		}
		lists := int64(1 + len(layers))
		return int64(k) * (width*numbers + scale*lists), (1 + scale/2) * lists
	}
	axis, err := spectrum.ParseAxis(b.Axis)
	if err != nil {
		return 0, 0 // said where the branch is made
	}
	for _, l := range in.Readers() {
		if r.LayerBits(prefix+llama.Layer{Which: l, Expert: expert}.String()) == quant.FullBits {
			continue
		}
		rows, cols := l.Shape(of)
		channels := rows
		if axis == spectrum.InputChannel {
			channels = cols
		}
		components := b.PerChannel(axis, rows, cols) * float64(channels)
		if b.Literal {
			components = float64(cols)
		}
		numbers := int64(components) + tile // of a group that rounds up
		if b.Basis == "dft" {
			numbers *= 2 // real and imaginary part, but for the mean
			if components >= float64(channels) && b.Temperature == 0 {
				numbers -= int64(channels)
			}
		}
		if axis == spectrum.InputChannel {
			bytes, tensors = bytes+2*numbers+8*int64(cols)+4, tensors+5
			continue
		}
		bytes, tensors = bytes+2*numbers+4*padded(rows)/tile, tensors+2
		bytes += 2 * numbers / int64(rows) * (padded(rows) - int64(rows)) // a short last group
		if b.Temperature > 0 || b.Literal {
			bytes, tensors = bytes+4*int64(rows), tensors+1 // their order
		}
	}
	return bytes, tensors
}

// transformBytes returns the size of the factors of the transforms that flatquant learns for block i, in
// 32 bits, and the number of their tensors.
func transformBytes(c *checkpoint.Config, r *recipe.Recipe, i int) (bytes, tensors int64) {
	for in := range llama.NumInputs {
		if stage.Transforms(r).Input(in) == artefact.Kronecker {
			a, b := learn.Squarest(in.Width(c.Of(i)))
			bytes, tensors = bytes+4*int64(a*a+b*b), tensors+2
		}
	}
	return bytes, tensors
}

// keyBytes returns the largest size of what rotate.cache balanced stores, and the number of its tensors: for
// each KV head a matrix in 8 bits with a 16-bit scale for each row, and the mean of the keys.
func keyBytes(c *checkpoint.Config, r *recipe.Recipe) (bytes, tensors int64) {
	if r.CacheTransform() != artefact.Balanced {
		return 0, 0
	}
	n := int64(c.HeadDim)
	return int64(c.Layers) * int64(c.KVHeads) * (n*n + 2*n + 2*n), 3 * int64(c.Layers)
}
