package checkpoint

import (
	"path/filepath"
	"testing"
)

func TestBlockOf(t *testing.T) {
	for name, want := range map[string]int{"model.layers.0.x": 0, "model.layers.31.mlp.up_proj.weight": 31, "model.layers.007.x": 7,
		"model.layers.99999999999999999999.x": 1<<(intBits-1) - 1,
		"model.layers.x.y":                    -1, "model.layers.1": -1, "model.layers..x": -1, "model.layers.-1.x": -1, "model.layers.+1.x": -1, "model.norm.weight": -1, "layers.3.x": -1} {
		n, ok := blockOf(name)
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("%s: %d, %v; want %d", name, n, ok, want)
		}
	}
}

// A config.json with fewer blocks than the weights is refused where the folder
// is opened; other tensors that nothing is known of are not.
func TestBlocksBeyond(t *testing.T) {
	unknown := func(names ...string) []TensorSpec {
		specs := tinySpecs(t)
		for _, n := range names {
			specs = append(specs, TensorSpec{Name: n, DType: U8, Shape: []int{0}})
		}
		return specs
	}
	for _, tt := range []struct {
		name   string
		extra  []string
		shards int      // 0: one file
		parts  []string // nil: opens
	}{
		{"none", nil, 0, nil},
		{"unknown", []string{"model.layers.0.rotary_emb.inv_freq", "model.layers.x.y", "model.vision.layers.7.q"}, 0, nil},
		{"one", []string{"model.layers.1.mlp.up_proj.weight"}, 0, []string{weightsFile, `"model.layers.1.mlp.up_proj.weight"`, "block 1", "num_hidden_layers", "is 1", "blocks 0 to 0", "1 tensor beyond", "set num_hidden_layers to 2"}},
		{"lowest first", []string{"model.layers.10.a", "model.layers.9.b", "model.layers.9.a"}, 0, []string{`"model.layers.9.a"`, "block 9", "3 tensors", "to 11"}},
		{"sharded", []string{"model.layers.3.inv_freq"}, 5, []string{"model-00002-of-00002.safetensors", "block 3"}},
		{"no such number", []string{"model.layers.99999999999999999999.x"}, 0, []string{"download config.json and weights again"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, tinyConfig, unknown(tt.extra...), tt.shards)
			c, err := Open(dir)
			if tt.parts == nil {
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
				return
			}
			wantErr(t, err, ErrMalformed, append(tt.parts, filepath.Base(dir))...)
		})
	}
}
