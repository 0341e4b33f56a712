// Package testmodel writes small random checkpoints in Hugging Face's layout,
// for tests that need a model and not its knowledge.
package testmodel

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant/internal/checkpoint"
)

// Options are the model's shape. Zero values get small defaults.
type Options struct {
	Hidden, Intermediate, Layers, Heads, KVHeads, HeadDim int
	Context                                               int
	DType                                                 checkpoint.DType // F32
	Tied, Bias                                            bool
	Shards                                                int // 0 or 1: one file
	Seed                                                  uint64
	Config                                                map[string]any // further or overriding fields of config.json
}

// Vocab is the size of every test model's vocabulary: 256 bytes, <unk>, <s>, </s>.
const Vocab = 259

func (o *Options) defaults() {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.Hidden, 32)
	set(&o.Intermediate, 56)
	set(&o.Layers, 2)
	set(&o.Heads, 4)
	set(&o.KVHeads, 2)
	set(&o.HeadDim, o.Hidden/o.Heads)
	set(&o.Context, 64)
	set(&o.Shards, 1)
	if o.DType == "" {
		o.DType = checkpoint.F32
	}
}

// Write makes the folder and writes the model and its tokenizer. The same
// options give the same bytes. Memory does not grow with the model.
func Write(dir string, o Options) error {
	o.defaults()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	config := map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "hidden_act": "silu",
		"hidden_size": o.Hidden, "intermediate_size": o.Intermediate, "num_hidden_layers": o.Layers,
		"num_attention_heads": o.Heads, "num_key_value_heads": o.KVHeads, "head_dim": o.HeadDim,
		"vocab_size": Vocab, "max_position_embeddings": o.Context, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
		"tie_word_embeddings": o.Tied, "attention_bias": o.Bias, "mlp_bias": o.Bias, "bos_token_id": 257, "eos_token_id": 258,
	}
	for k, v := range o.Config {
		config[k] = v
	}
	raw, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	c, err := checkpoint.ParseConfig(raw, "config.json")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), tokenizerJSON(), 0o644); err != nil {
		return err
	}
	var specs []checkpoint.TensorSpec
	for i, t := range c.Expected() {
		specs = append(specs, tensor(t, o, uint64(i)))
	}
	if o.Shards == 1 {
		return checkpoint.WriteFile(filepath.Join(dir, "model.safetensors"), specs, nil)
	}
	where := map[string]string{}
	for s := range o.Shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", s+1, o.Shards)
		part := specs[len(specs)*s/o.Shards : len(specs)*(s+1)/o.Shards]
		for _, t := range part {
			where[t.Name] = name
		}
		if err := checkpoint.WriteFile(filepath.Join(dir, name), part, nil); err != nil {
			return err
		}
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": where})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), index, 0o644)
}

// tensor draws norm gains around one, with a few outliers, and matrices that
// keep the size of what goes through them.
func tensor(t checkpoint.ExpectedTensor, o Options, index uint64) checkpoint.TensorSpec {
	return checkpoint.TensorSpec{Name: t.Name, DType: o.DType, Shape: t.Shape, Write: func(w io.Writer) error {
		rng := rand.New(rand.NewPCG(o.Seed, index))
		width := t.Shape[len(t.Shape)-1]
		elems := 1
		for _, d := range t.Shape {
			elems *= d
		}
		row := make([]float32, width)
		var raw []byte
		for range elems / width {
			for i := range row {
				switch {
				case strings.HasSuffix(t.Name, "norm.weight"):
					row[i] = float32(1 + 0.1*rng.NormFloat64())
					if i%13 == 3 {
						row[i] *= 8
					}
				case strings.HasSuffix(t.Name, ".bias"):
					row[i] = float32(0.1 * rng.NormFloat64())
				default:
					row[i] = float32(rng.NormFloat64() / math.Sqrt(float64(width)))
				}
			}
			var err error
			if raw, err = checkpoint.AppendFloats(raw[:0], o.DType, row); err != nil {
				return err
			}
			if _, err := w.Write(raw); err != nil {
				return err
			}
		}
		return nil
	}}
}

// tokenizerJSON is a byte-level BPE without merges: one token a byte.
func tokenizerJSON() []byte {
	vocab := map[string]int{}
	next := 256 // stand-ins for bytes that are not printable, as in GPT-2
	for b := range 256 {
		r := rune(b)
		if b < 33 || b > 126 && b < 161 || b == 173 {
			r = rune(next)
			next++
		}
		vocab[string(r)] = b
	}
	added := []map[string]any{}
	for i, s := range []string{"<unk>", "<s>", "</s>"} {
		added = append(added, map[string]any{"id": 256 + i, "content": s, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
	}
	raw, err := json.Marshal(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil,
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"post_processor": map[string]any{"type": "TemplateProcessing",
			"single":         []any{map[string]any{"SpecialToken": map[string]any{"id": "<s>", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}},
			"pair":           []any{map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}}, map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 1}}},
			"special_tokens": map[string]any{"<s>": map[string]any{"id": "<s>", "ids": []int{257}, "tokens": []string{"<s>"}}}},
		"decoder": map[string]any{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": []string{}},
	})
	if err != nil {
		panic(err) // constants
	}
	return raw
}
