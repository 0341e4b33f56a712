package checkpoint

import (
	"path/filepath"
	"strings"
	"testing"
)

// expertsFolder writes a model of the class with 4 experts, its tensors edited, and
// opens it.
func expertsFolder(t *testing.T, class string, edit func(specs []TensorSpec) []TensorSpec) (*Checkpoint, error) {
	t.Helper()
	dir := t.TempDir()
	config := edited(t, familyEdits(class, map[string]string{"num_local_experts": "4", "num_experts_per_tok": "2", "num_hidden_layers": "2"}))
	c, err := ParseConfig(config, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	var specs []TensorSpec
	for _, e := range c.Expected() {
		n, _ := product(e.Shape)
		specs = append(specs, TensorSpec{Name: c.InFile(e.Name), DType: BF16, Shape: e.Shape, Data: make([]byte, 2*n)})
	}
	if err := WriteFile(filepath.Join(dir, weightsFile), edit(specs), nil); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, configFile), config)
	ck, err := Open(dir)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { ck.Close() })
	return ck, ck.Check()
}

// TestExpertNames: Mixtral's files are read under the names that the other families'
// tensors have, and errors name what is in the file.
func TestExpertNames(t *testing.T) {
	ck, err := expertsFolder(t, "MixtralForCausalLM", func(s []TensorSpec) []TensorSpec {
		if !strings.HasSuffix(s[8].Name, "0.block_sparse_moe.experts.0.w1.weight") {
			t.Errorf("tensor 8 is %s", s[8].Name)
		}
		return s
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, rows := range map[string]int{"mlp.gate": 4, "mlp.experts.3.gate_proj": 12, "mlp.experts.0.up_proj": 12, "mlp.experts.2.down_proj": 8} {
		tensor, err := ck.Tensor("model.layers.1." + name + ".weight")
		if err != nil || tensor.Shape[0] != rows {
			t.Errorf("%s: shape %v (%v), expected %d rows", name, tensor.Shape, err, rows)
		}
	}
	if extra := ck.Extra(); len(extra) > 0 {
		t.Errorf("extra %v", extra)
	}
}

// TestExpertsRefuse: experts that do not match the router or the config are refused, by
// the name that they have in the file.
func TestExpertsRefuse(t *testing.T) {
	drop := func(suffix string) func([]TensorSpec) []TensorSpec {
		return func(s []TensorSpec) (out []TensorSpec) {
			for _, t := range s {
				if !strings.HasSuffix(t.Name, suffix) {
					out = append(out, t)
				}
			}
			return out
		}
	}
	resize := func(suffix string, rows int) func([]TensorSpec) []TensorSpec {
		return func(s []TensorSpec) []TensorSpec {
			for i, t := range s {
				if strings.HasSuffix(t.Name, suffix) {
					s[i].Shape = []int{rows, t.Shape[1]}
					s[i].Data = make([]byte, 2*rows*t.Shape[1])
				}
			}
			return s
		}
	}
	add := func(name string) func([]TensorSpec) []TensorSpec {
		return func(s []TensorSpec) []TensorSpec {
			return append(s, TensorSpec{Name: name, DType: BF16, Shape: []int{1, 1}, Data: make([]byte, 2)})
		}
	}
	for _, tt := range []struct {
		name, class string
		edit        func([]TensorSpec) []TensorSpec
		kind        error
		parts       []string
	}{
		{"router of fewer", "MixtralForCausalLM", resize("1.block_sparse_moe.gate.weight", 3), ErrMalformed, []string{"mlp.gate.weight", "[3 8]", "[4 8]"}},
		{"no router", "OlmoeForCausalLM", drop("0.mlp.gate.weight"), ErrNotFound, []string{"model.layers.0.mlp.gate.weight", "[4 8]"}},
		{"missing expert", "MixtralForCausalLM", drop("1.block_sparse_moe.experts.2.w3.weight"), ErrNotFound, []string{"model.layers.1.block_sparse_moe.experts.2.w3.weight", "[12 8]"}},
		{"one expert more", "MixtralForCausalLM", add("model.layers.0.block_sparse_moe.experts.4.w1.weight"), ErrUnsupported, []string{"block_sparse_moe.experts.4.w1", "expert 4", "among 4", "0 to 3"}},
		{"number beyond all", "OlmoeForCausalLM", add("model.layers.0.mlp.experts.99999999999999999999.up_proj.weight"), ErrUnsupported, []string{"among 4"}},
		{"experts of a dense model", "Olmo2ForCausalLM", add("model.layers.1.mlp.experts.0.up_proj.weight"), ErrUnsupported, []string{"expert 0", "block 1 has no experts"}},
		{"two names", "MixtralForCausalLM", add("model.layers.0.mlp.experts.1.up_proj.weight"), ErrMalformed, []string{"experts.1.w3", "mlp.experts.1.up_proj", "one name"}},
		{"wide expert", "OlmoeForCausalLM", resize("0.mlp.experts.1.up_proj.weight", 13), ErrMalformed, []string{"experts.1.up_proj", "[13 8]", "[12 8]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := expertsFolder(t, tt.class, tt.edit)
			wantErr(t, err, tt.kind, tt.parts...)
		})
	}
}
