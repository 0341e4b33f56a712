package checkpoint

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder makes a model folder: config, and weights in one file or, with a
// split, in shards by the tensors' order. It returns its path.
func folder(t testing.TB, config string, specs []TensorSpec, split int) string {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "config.json"), []byte(config))
	write := func(name string, s []TensorSpec) {
		if err := WriteFile(filepath.Join(dir, name), s, nil); err != nil {
			t.Fatal(err)
		}
	}
	if split == 0 {
		write("model.safetensors", specs)
		return dir
	}
	index := map[string]string{}
	for i, part := range [][]TensorSpec{specs[:split], specs[split:]} {
		name := []string{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}[i]
		write(name, part)
		for _, s := range part {
			index[s.Name] = name
		}
	}
	putIndex(t, dir, index)
	return dir
}

func putIndex(t testing.TB, dir string, weights map[string]string) {
	t.Helper()
	b, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": weights})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, indexFile), b)
}

func TestOpenSharded(t *testing.T) {
	specs := tinySpecs(t)
	dir := folder(t, tinyConfig, specs, 5)
	put(t, filepath.Join(dir, "generation_config.json"), []byte(`{"eos_token_id":[2,7],"temperature":0.6}`))
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	var names []string
	var bytes int64
	for _, s := range specs {
		names = append(names, s.Name)
		bytes += int64(len(s.Data))
	}
	slices.Sort(names)
	if !slices.Equal(c.Names(), names) || c.Bytes() != bytes || len(c.Files()) != 2 {
		t.Errorf("names %v, %d bytes, files %v", c.Names(), c.Bytes(), c.Files())
	}
	if !slices.Equal(c.Config.EOS, []int{2, 7}) {
		t.Errorf("end tokens %v, expected those of generation_config.json", c.Config.EOS)
	}
	_, err = c.Tensor("model.layers.0.self_attn.q_project.weight")
	wantErr(t, err, ErrNotFound, dir, "self_attn.q_proj.weight")
	_, err = c.Tensor("zzz")
	if wantErr(t, err, ErrNotFound, "zzz"); strings.Contains(err.Error(), "nearest") {
		t.Errorf("nothing is near, but: %v", err)
	}
}

// The Hugging Face cache has links that leave the folder.
func TestOpenFollowsLinks(t *testing.T) {
	real := folder(t, tinyConfig, tinySpecs(t), 5)
	dir := t.TempDir()
	list, _ := os.ReadDir(real)
	for _, e := range list {
		if err := os.Symlink(filepath.Join(real, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			t.Skip(err)
		}
	}
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestOpenRefuses(t *testing.T) {
	const s1, s2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	specs := tinySpecs(t)
	index := func(edits map[string]string) func(string) {
		return func(dir string) {
			m := map[string]string{}
			for i, s := range specs {
				m[s.Name] = s1
				if i >= 5 {
					m[s.Name] = s2
				}
			}
			for k, v := range edits {
				m[k] = v
			}
			putIndex(t, dir, m)
		}
	}
	rm := func(names ...string) func(string) {
		return func(dir string) {
			for _, n := range names {
				os.Remove(filepath.Join(dir, n))
			}
		}
	}
	file := func(name, data string) func(string) {
		return func(dir string) { put(t, filepath.Join(dir, name), []byte(data)) }
	}
	tests := []struct {
		name  string
		kind  error
		parts []string
		do    []func(string)
	}{
		{"missing shard", ErrNotFound, []string{s2, "missing"}, []func(string){rm(s2)}},
		{"absent tensor", ErrNotFound, []string{`"extra"`, s1}, []func(string){index(map[string]string{"extra": s1})}},
		{"wrong shard", ErrMalformed, []string{specs[0].Name, s2}, []func(string){index(map[string]string{specs[0].Name: s2})}},
		{"two shards", ErrMalformed, []string{specs[5].Name, "in one shard"}, []func(string){func(dir string) {
			if err := WriteFile(filepath.Join(dir, s1), specs[:6], nil); err != nil {
				t.Fatal(err)
			}
		}}},
		{"parent", ErrMalformed, []string{"leaves the folder"}, []func(string){index(map[string]string{"x": "../m.safetensors"})}},
		{"absolute", ErrMalformed, []string{"leaves the folder"}, []func(string){index(map[string]string{"x": "/m.safetensors"})}},
		{"backslash", ErrMalformed, []string{"leaves the folder"}, []func(string){index(map[string]string{"x": `..\m.safetensors`})}},
		{"drive", ErrMalformed, []string{"leaves the folder"}, []func(string){index(map[string]string{"x": `C:m.safetensors`})}},
		{"subfolder", ErrMalformed, []string{"leaves the folder"}, []func(string){index(map[string]string{"x": "a/m.safetensors"})}},
		{"dots", ErrMalformed, []string{`".."`}, []func(string){index(map[string]string{"x": ".."})}},
		{"not safetensors", ErrMalformed, []string{"config.json"}, []func(string){index(map[string]string{"x": "config.json"})}},
		{"no map", ErrMalformed, []string{"weight_map"}, []func(string){file(indexFile, `{}`)}},
		{"map of numbers", ErrMalformed, []string{"file name"}, []func(string){file(indexFile, `{"weight_map":{"a":1}}`)}},
		{"listed twice", ErrMalformed, []string{"twice"}, []func(string){file(indexFile, `{"weight_map":{"a":"`+s1+`","a":"`+s2+`"}}`)}},
		{"bad generation config", ErrMalformed, []string{"generation_config.json", "eos_token_id"}, []func(string){file(generationFile, `{"eos_token_id":"x"}`)}},
		{"no config", ErrNotFound, []string{"config.json"}, []func(string){rm(configFile)}},
		{"no weights", ErrNotFound, []string{"model.safetensors"}, []func(string){rm(s1, s2, indexFile)}},
		{"no index", ErrNotFound, []string{s1, indexFile}, []func(string){rm(indexFile)}},
		{"pickles", ErrUnsupported, []string{"pytorch_model.bin", "safe_serialization"}, []func(string){rm(s1, s2, indexFile), file("pytorch_model.bin", "")}},
		{"gguf", ErrUnsupported, []string{"m.gguf", "give that"}, []func(string){rm(s1, s2, indexFile), file("m.gguf", "")}},
		{"gguf without config", ErrUnsupported, []string{"give that"}, []func(string){rm(s1, s2, indexFile, configFile), file("m.gguf", "")}},
		{"truncated shard", ErrMalformed, []string{s2, "truncated"}, []func(string){func(dir string) {
			if err := os.Truncate(filepath.Join(dir, s2), 900); err != nil {
				t.Fatal(err)
			}
		}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, tinyConfig, specs, 5)
			for _, do := range tt.do {
				do(dir)
			}
			c, err := Open(dir)
			if err == nil {
				c.Close()
			}
			wantErr(t, err, tt.kind, append(tt.parts, dir)...)
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	_, err := Open(writeTemp(t, "m.gguf", nil))
	wantErr(t, err, ErrMalformed, "a file, expected a model folder")
	_, err = Open(writeTemp(t, "m.bin", []byte("GGUF")))
	wantErr(t, err, ErrMalformed, "truncated")
}

func TestCheck(t *testing.T) {
	tied := string(edited(t, map[string]string{"tie_word_embeddings": "true"}))
	without := func(name string) []TensorSpec {
		return slices.DeleteFunc(tinySpecs(t), func(s TensorSpec) bool { return s.Name == name })
	}
	with := func(s TensorSpec) []TensorSpec { return append(tinySpecs(t), s) }
	replace := func(s TensorSpec) []TensorSpec { return append(without(s.Name), s) }
	other := make([]byte, 16*8*2)
	other[9] = 1
	tests := []struct {
		name, config string
		specs        []TensorSpec
		kind         error // nil: Check passes
		parts        []string
	}{
		{"whole", tinyConfig, tinySpecs(t), nil, nil},
		{"inv_freq", tinyConfig, with(TensorSpec{Name: "model.layers.0.self_attn.rotary_emb.inv_freq", DType: U8, Shape: []int{0}}), nil, nil},
		{"unknown in a block", tinyConfig, with(TensorSpec{Name: "model.layers.0.mlp.experts.weight_scale", DType: U8, Shape: []int{0}}), nil, nil},
		{"tied, head only", tied, without(embedName), nil, nil},
		{"tied, embedding only", tied, without(headName), nil, nil},
		{"tied, equal copies", tied, tinySpecs(t), nil, nil},
		{"tied, copies differ", tied, replace(TensorSpec{Name: headName, DType: BF16, Shape: []int{16, 8}, Data: other}), ErrMalformed, []string{"differ", "tie_word_embeddings"}},
		{"untied, no head", tinyConfig, without(headName), ErrNotFound, []string{headName, "tie_word_embeddings"}},
		{"missing", tinyConfig, without("model.layers.0.mlp.up_proj.weight"), ErrNotFound, []string{"up_proj", "[12 8]"}},
		{"shape", tinyConfig, replace(TensorSpec{Name: normName, DType: F32, Shape: []int{4}, Data: make([]byte, 16)}), ErrMalformed, []string{normName, "[4]", "[8]"}},
		{"dtype", tinyConfig, replace(TensorSpec{Name: normName, DType: U8, Shape: []int{8}, Data: make([]byte, 8)}), ErrUnsupported, []string{normName, "U8"}},
		{"bias left over", tinyConfig, with(TensorSpec{Name: "model.layers.0.self_attn.q_proj.bias", DType: U8, Shape: []int{0}}), ErrUnsupported, []string{"q_proj.bias", "attention_bias"}},
		{"quantized", string(edited(t, map[string]string{"quantization_config": `{"quant_method":"gptq"}`})), tinySpecs(t), ErrUnsupported, []string{"gptq"}},
		{"several", tinyConfig, tinySpecs(t)[:3], ErrNotFound, []string{"and 8 more"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Open(folder(t, tt.config, tt.specs, 0))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err = c.Check()
			if tt.kind != nil {
				wantErr(t, err, tt.kind, append(tt.parts, c.Dir)...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{embedName, headName} {
				x, err := c.Tensor(name)
				if err != nil || !c.Has(name) || !slices.Equal(x.Shape, []int{16, 8}) {
					t.Errorf("%s: %+v, %v", name, x.Shape, err)
				}
			}
		})
	}
}
