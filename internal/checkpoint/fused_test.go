package checkpoint

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestFused: fused projections are read as their parts, whatever the order of the
// files' tensors, and refused where the rows do not add up or a part is there twice.
func TestFused(t *testing.T) {
	config := edited(t, familyEdits("Phi3ForCausalLM", map[string]string{"num_hidden_layers": "1"}))
	c, err := ParseConfig(config, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	ramp := func(name string, rows, cols int) TensorSpec {
		v := make([]float32, rows*cols)
		for i := range v {
			v[i] = float32(i)
		}
		data, err := AppendFloats(nil, F32, v)
		if err != nil {
			t.Fatal(err)
		}
		return TensorSpec{Name: name, DType: F32, Shape: []int{rows, cols}, Data: data}
	}
	const block = "model.layers.0."
	specs := func(qkv int, extra ...TensorSpec) []TensorSpec {
		out := append([]TensorSpec{ramp(block+"self_attn.qkv_proj.weight", qkv, 8), ramp(block+"mlp.gate_up_proj.weight", 24, 8)}, extra...)
		for _, e := range c.Expected() {
			if !slices.Contains([]string{"q", "k", "v", "gate", "up"}, projection(e.Name)) {
				s := ramp(e.Name, e.Shape[0], append(e.Shape, 1)[1])
				s.Shape = e.Shape
				out = append(out, s)
			}
		}
		return out
	}
	open := func(specs []TensorSpec) (*Checkpoint, error) {
		dir := t.TempDir()
		if err := WriteFile(filepath.Join(dir, "model.safetensors"), specs, nil); err != nil {
			t.Fatal(err)
		}
		if err := WriteFileAtomic(filepath.Join(dir, "config.json"), config); err != nil {
			t.Fatal(err)
		}
		return Open(dir)
	}
	ck, err := open(specs(16))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	if err := ck.Check(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]int{"self_attn.q_proj": {0, 8}, "self_attn.k_proj": {8, 4}, "self_attn.v_proj": {12, 4}, "mlp.gate_proj": {0, 12}, "mlp.up_proj": {12, 12}} {
		tensor, err := ck.Tensor(block + name + ".weight")
		if err != nil {
			t.Fatal(err)
		}
		v := make([]float32, tensor.Elems())
		if err := tensor.Float32(v); err != nil {
			t.Fatal(err)
		}
		if tensor.Shape[0] != want[1] || v[0] != float32(8*want[0]) || v[len(v)-1] != float32(8*(want[0]+want[1])-1) {
			t.Errorf("%s: shape %v, values %v to %v, expected %d rows from row %d", name, tensor.Shape, v[0], v[len(v)-1], want[1], want[0])
		}
	}
	if slices.Contains(ck.Names(), block+"self_attn.qkv_proj.weight") || len(ck.Extra()) > 0 {
		t.Errorf("names %v, extra %v", ck.Names(), ck.Extra())
	}
	_, err = open(specs(17))
	wantErr(t, err, ErrMalformed, "qkv_proj", "[17 8]", "16 rows")
	_, err = open(specs(16, ramp(block+"self_attn.k_proj.weight", 4, 8)))
	wantErr(t, err, ErrMalformed, "k_proj", "qkv_proj", "one of them")
}

// projection is the letters before _proj of a name.
func projection(name string) string {
	parts := filepath.Ext(filepath.Base(name[:max(0, len(name)-len("_proj.weight"))]))
	return parts[min(1, len(parts)):]
}
