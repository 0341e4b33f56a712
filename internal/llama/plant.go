package llama

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// Plant writes a copy of the checkpoint to the folder dst with outliers that do not change
// its function: in every norm before linear layers, the gains of `channels` channels are
// multiplied by the factor, and the columns that read them are divided by it. This is the
// outlier pattern of trained LLaMAs in a controlled form, which quantization must cope
// with. The channels are chosen by the seed and are the same in all blocks. Weights become
// F32. tokenizer names the files that are copied.
func Plant(ck *checkpoint.Checkpoint, dst string, channels int, factor float32, seed uint64, tokenizer []string) error {
	c := &ck.Config
	if channels < 1 || channels > c.HiddenSize || !(factor > 0) {
		return fmt.Errorf("planting %s × %v: expected 1 to %s and a positive factor", plural.Of(channels, "channel"), factor, plural.Of(c.HiddenSize, "channel"))
	}
	if c.NoPreNorm {
		return fmt.Errorf("planting: a %s has no norms before its linear layers whose gains could grow", c.Architecture)
	}
	chosen := rand.New(rand.NewPCG(seed, 0x504c414e54)).Perm(c.HiddenSize)[:channels]
	slices.Sort(chosen)
	if _, err := input.Lstat(dst); err == nil {
		return fmt.Errorf("%s exists; remove it or choose another name", dst)
	}
	// The copy appears under its name only when it is complete.
	whole := filepath.Clean(dst)
	dst, err := os.MkdirTemp(filepath.Dir(whole), filepath.Base(whole)+".tmp-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dst)
	if err := os.Chmod(dst, 0o755); err != nil {
		return err
	}
	specs, err := planted(ck, chosen, factor)
	if err != nil {
		return err
	}
	if err := checkpoint.WriteFile(filepath.Join(dst, "model.safetensors"), specs, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	for _, name := range append([]string{"config.json"}, tokenizer...) {
		data, err := input.ReadFile(filepath.Join(ck.Dir, name), 4*input.MaxSmall)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := checkpoint.WriteFileAtomic(filepath.Join(dst, name), data); err != nil {
			return err
		}
	}
	return checkpoint.RenameDir(dst, whole)
}

// planted returns all tensors of the checkpoint, with outliers planted when they are written.
func planted(ck *checkpoint.Checkpoint, chosen []int, factor float32) ([]checkpoint.TensorSpec, error) {
	c, scaled := &ck.Config, map[string]bool{}
	for i := range c.Layers {
		p := TensorPrefix(i)
		scaled[p+c.NormName(checkpoint.AttnNorm)+".weight"], scaled[p+c.NormName(checkpoint.MLPNorm)+".weight"] = true, true
		of := c.Of(i)
		for _, l := range Layers(of) {
			if in := l.Input(); in == AttnInput || in == MLPInput {
				scaled[p+l.String()+".weight"] = true
			}
		}
		if of.Experts.Count > 0 {
			scaled[p+RouterName] = true
		}
	}
	var specs []checkpoint.TensorSpec
	for _, name := range ck.Names() {
		t, err := ck.Tensor(name)
		if err != nil {
			return nil, err
		}
		specs = append(specs, checkpoint.TensorSpec{Name: c.InFile(name), DType: checkpoint.F32, Shape: t.Shape, Write: func(w io.Writer) error {
			v := make([]float32, t.Elems())
			if err := t.Float32(v); err != nil {
				return err
			}
			if scaled[name] {
				plant(v, t.Shape, chosen, factor, float32(c.NormOffset))
			}
			data, err := checkpoint.AppendFloats(nil, checkpoint.F32, v)
			if err != nil {
				return err
			}
			_, err = w.Write(data)
			return err
		}})
	}
	return specs, nil
}

// plant multiplies a norm's gains, which are the stored values plus offset, or divides a
// matrix's columns.
func plant(v []float32, shape, chosen []int, factor, offset float32) {
	if len(shape) == 1 {
		for _, i := range chosen {
			v[i] = (v[i]+offset)*factor - offset
		}
		return
	}
	for r := 0; r < len(v); r += shape[1] {
		for _, i := range chosen {
			v[r+i] /= factor
		}
	}
}
