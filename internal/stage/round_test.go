package stage

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestRound: rounding a block part by part gives the same layers and reports, and the same
// norms, as loading it and doing step by step what [Steps] lists; with a layer in 16 bits, on
// every kind of grid, and where [Level] has to change both sides of pairs.
func TestRound(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	for name, text := range map[string]string{
		"rows":      "bits: 4-8-8\nsolve: {method: rtn}\n",
		"groups":    "bits: 3-8-8\nweights: {group: 32, clip: mse, zero: asymmetric}\nsolve: {method: rtn}\n",
		"mixed":     "bits: 2-8-8\nweights: {group: 64, zero: centred, layers: [{match: down_proj, bits: 16}, {match: q_proj, bits: 5}]}\nsolve: {method: rtn}\n",
		"multiples": "bits: 5-8-8\nweights: {group: 16, scales: multiples, clip: mse, layers: [{match: down_proj, bits: 16}, {match: q_proj, bits: 7}]}\nsolve: {method: rtn}\n",
	} {
		for _, apart := range []bool{false, true} {
			r, err := recipe.Parse([]byte("name: "+name+"\nabout: a test\n"+text), name)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "model")
			if err := testmodel.Write(dir, testmodel.Options{Hidden: 64, Intermediate: 96, Heads: 4, KVHeads: 2, Layers: 2, Bias: name == "rows"}); err != nil {
				t.Fatal(err)
			}
			if apart {
				pullApart(t, dir)
			}
			ck, err := checkpoint.OpenFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			if !RoundsOnly(r, 0) || RoundsOnly(r, 1) {
				t.Fatal("the recipe does more than rounding")
			}
			loaded, err := New(&ck.Config, r, pool, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := loaded.Load(ck, 1); err != nil {
				t.Fatal(err)
			}
			for _, step := range Steps(&ck.Config, r, 1, false) {
				if err := loaded.Do(t.Context(), step); err != nil {
					t.Fatal(err)
				}
			}
			parts, err := New(&ck.Config, r, pool, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := parts.Round(t.Context(), ck, 1); err != nil {
				t.Fatal(err)
			}
			for i, l := range llama.Layers(&ck.Config) {
				a, b := loaded.Quantized[i], parts.Quantized[i]
				if !slices.Equal(a.Tiles, b.Tiles) || !slices.Equal(a.Scales, b.Scales) || !slices.Equal(a.Zeros, b.Zeros) || !slices.Equal(a.Multiples, b.Multiples) || !slices.Equal(a.Whole.Data, b.Whole.Data) || !slices.Equal(a.Bias, b.Bias) {
					t.Errorf("%s, sides apart %v: %s is not the same", name, apart, l)
				}
				x, y := loaded.Reports[i], parts.Reports[i]
				if x.Seconds, y.Seconds = 0, 0; x.Name != y.Name || x.Clipped != y.Clipped || x.BitsPerWeight != y.BitsPerWeight {
					t.Errorf("%s, sides apart %v: %s: %+v, want %+v", name, apart, l, y, x)
				}
			}
			if !slices.Equal(loaded.Block.AttnNorm, parts.Block.AttnNorm) || !slices.Equal(loaded.Block.MLPNorm, parts.Block.MLPNorm) {
				t.Errorf("%s, sides apart %v: the norms are not the same", name, apart)
			}
		}
	}
}

// pullApart multiplies one side of each pair of a test model by a power of two that is far
// outside of what trained models have, and single channels by more.
func pullApart(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	f, err := checkpoint.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var specs []checkpoint.TensorSpec
	for _, name := range f.Names() {
		tensor, _ := f.Tensor(name)
		w := make([]float32, tensor.Elems())
		if err := tensor.Float32(w); err != nil {
			t.Fatal(err)
		}
		for part, power := range map[string]int{"input_layernorm": 20, "post_attention": -20, "k_proj": -16, "v_proj": -18, "up_proj": -15} {
			if strings.Contains(name, part) {
				for i := range w {
					w[i] = scaled(w[i], power)
				}
				extra := 17
				if power > 0 {
					extra = -17
				}
				for i := range tensor.Shape[len(tensor.Shape)-1] { // a row, or all of a norm's gains
					if i%7 == 0 {
						w[i] = scaled(w[i], extra)
					}
				}
			}
		}
		data := make([]byte, 4*len(w))
		for i, v := range w {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
		}
		specs = append(specs, checkpoint.TensorSpec{Name: name, DType: checkpoint.F32, Shape: tensor.Shape, Data: data})
	}
	f.Close()
	if err := checkpoint.WriteFile(path, specs, nil); err != nil {
		t.Fatal(err)
	}
}
