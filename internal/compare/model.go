package compare

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/llama"
)

// modelPaths lists the files of a model: those of its folder, or the GGUF file.
func modelPaths(path string) ([]string, error) {
	info, err := input.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		if info, err := input.Stat(file); err == nil && info.Mode().IsRegular() {
			out = append(out, file)
		}
	}
	return out, nil
}

// modelFiles are the files of a model with their sizes and sums.
func modelFiles(path string) ([]checkpoint.FileHash, error) {
	paths, err := modelPaths(path)
	if err != nil {
		return nil, err
	}
	return checkpoint.HashFiles(paths...)
}

// fileBytes sums the sizes of files. Missing files count 0.
func fileBytes(paths []string) (total int64) {
	for _, p := range paths {
		if info, err := input.Stat(p); err == nil {
			total += info.Size()
		}
	}
	return total
}

// storedBits is the average number of bits per weight of a checkpoint's linear layers as
// stored, including the scales of a GGUF file.
func storedBits(ck *checkpoint.Checkpoint) float64 {
	var bytes, weights float64
	for i := range ck.Config.Layers {
		for l := range llama.NumLinears {
			t, err := ck.Tensor(llama.TensorPrefix(i) + l.String() + ".weight")
			if err != nil {
				continue // fused with another, or absent in this architecture
			}
			bytes, weights = bytes+float64(len(t.Data)), weights+float64(t.Elems())
		}
	}
	if weights == 0 {
		return 0
	}
	return 8 * bytes / weights
}

// worstShare is the share of the summed KL divergence that comes from the 0.1 % of the tokens
// (at least one) with the largest.
func worstShare(tokens []eval.Token) float64 {
	kl := make([]float64, len(tokens))
	var sum, worst float64
	for i, t := range tokens {
		kl[i] = t.KL
		sum += t.KL
	}
	slices.SortFunc(kl, func(a, b float64) int { return cmp.Compare(b, a) })
	for _, v := range kl[:max(1, len(kl)/1000)] {
		worst += v
	}
	if sum <= 0 {
		return 0
	}
	return worst / sum
}
