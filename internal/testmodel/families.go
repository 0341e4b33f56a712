package testmodel

import (
	"embed"
	"encoding/json"
	"io"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant/internal/checkpoint"
)

// goldens are made by families/make.py, from Hugging Face transformers.
//
//go:embed families/*.json
var goldens embed.FS

// Family is a small random model of a family of architectures, and what an
// independent implementation computes with it in float32.
type Family struct {
	Name   string          `json:"-"`
	Config json.RawMessage `json:"config"`
	IDs    []int           `json:"ids"`    // a text
	Last   []float64       `json:"last"`   // logits of its last position
	First4 [][]float64     `json:"first4"` // the first four logits of each position
	Greedy []int           `json:"greedy"` // the tokens that follow greedily
}

// Families are those that there are goldens of, by name.
func Families() []Family {
	entries, err := goldens.ReadDir("families")
	if err != nil {
		panic(err) // embedded
	}
	var out []Family
	for _, e := range entries {
		data, err := goldens.ReadFile(path.Join("families", e.Name()))
		if err != nil {
			panic(err)
		}
		f := Family{Name: strings.TrimSuffix(e.Name(), ".json")}
		if err := json.Unmarshal(data, &f); err != nil {
			panic(err)
		}
		out = append(out, f)
	}
	return out
}

// Write makes the folder and writes the model in float32, with the weights that
// the golden was made with, and a tokenizer of bytes.
func (f Family) Write(dir string) error {
	c, err := checkpoint.ParseConfig(f.Config, "config.json")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), f.Config, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizerJSON(), 0o644); err != nil {
		return err
	}
	var specs []checkpoint.TensorSpec
	for _, t := range stored(c) {
		specs = append(specs, checkpoint.TensorSpec{Name: t.Name, DType: checkpoint.F32, Shape: t.Shape, Write: func(w io.Writer) error {
			raw, err := checkpoint.AppendFloats(nil, checkpoint.F32, values(t.Name, t.Shape, c.NormOffset))
			if err != nil {
				return err
			}
			_, err = w.Write(raw)
			return err
		}})
	}
	return checkpoint.WriteFile(filepath.Join(dir, "model.safetensors"), specs, nil)
}

// values are those of a tensor, by the name that the family's files give it.
func values(name string, shape []int, offset float64) []float32 {
	elems := 1
	for _, d := range shape {
		elems *= d
	}
	row := make([]float32, elems)
	for i, u := range uniform(name, elems) {
		switch {
		case len(shape) == 2:
			u = 1.7 * u / math.Sqrt(float64(shape[1]))
		case strings.HasSuffix(name, "norm.weight"):
			u = 1 - offset + 0.3*u
		default:
			u = 0.3 * u
		}
		row[i] = float32(u)
	}
	return row
}

// stored lists the tensors as the family's files have them: projections one below
// the other, where they are fused.
func stored(c checkpoint.Config) []checkpoint.ExpectedTensor {
	var out []checkpoint.ExpectedTensor
	for _, t := range c.Expected() {
		t.Name = c.InFile(t.Name)
		if c.Fused {
			block, part, _ := strings.Cut(t.Name, "_proj.")
			at := strings.LastIndexByte(block, '.') + 1
			switch block[at:] {
			case "q":
				t.Name = block[:at] + "qkv_proj." + part
			case "gate":
				t.Name = block[:at] + "gate_up_proj." + part
			case "k", "v", "up":
				last := &out[len(out)-1]
				last.Shape = append([]int{last.Shape[0] + t.Shape[0]}, last.Shape[1:]...)
				continue
			}
		}
		out = append(out, t)
	}
	return out
}

// uniform gives n numbers in [−1, 1): the top 24 bits of splitmix64 of a hash of the
// name plus the index, as make.py draws them.
func uniform(name string, n int) []float64 {
	seed := uint64(0xcbf29ce484222325)
	for _, b := range []byte(name) {
		seed = (seed ^ uint64(b)) * 0x100000001b3
	}
	v := make([]float64, n)
	for i := range v {
		z := seed + (uint64(i)+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		v[i] = float64(z>>40)/(1<<23) - 1
	}
	return v
}
