package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testdata"
)

// legacyBin reads a llama2.c checkpoint: seven int32, then float32 tensors of
// all layers one after another. Names are Hugging Face's; q and k rows are
// still in Meta's interleaved order.
func legacyBin(t *testing.T, path string) (c Config, tensors map[string][]float32) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h := make([]int, 7)
	for i := range h {
		h[i] = int(int32(binary.LittleEndian.Uint32(b[4*i:])))
	}
	c = Config{HiddenSize: h[0], IntermediateSize: h[1], Layers: h[2], Heads: h[3], KVHeads: h[4], VocabSize: h[5], MaxPositions: h[6]}
	c.HeadDim = c.HiddenSize / c.Heads
	b = b[28:]
	tensors = map[string][]float32{}
	take := func(name string, n int) {
		v := make([]float32, n)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		b = b[4*n:]
		tensors[name] = v
	}
	each := func(part string, n int) {
		for i := range c.Layers {
			take(fmt.Sprintf("model.layers.%d.%s.weight", i, part), n)
		}
	}
	d, kv := c.HiddenSize, c.KVHeads*c.HeadDim
	take(embedName, c.VocabSize*d)
	each("input_layernorm", d)
	each("self_attn.q_proj", d*d)
	each("self_attn.k_proj", kv*d)
	each("self_attn.v_proj", kv*d)
	each("self_attn.o_proj", d*d)
	each("post_attention_layernorm", d)
	each("mlp.gate_proj", c.IntermediateSize*d)
	each("mlp.down_proj", c.IntermediateSize*d)
	each("mlp.up_proj", c.IntermediateSize*d)
	take(normName, d)
	return c, tensors
}

// The imported folder equals the same model in llama2.c's format, value for
// value, with q and k in Hugging Face's order of rows.
func TestImportGGUF(t *testing.T) {
	src := testdata.Path(t, "models", "stories260k", "stories260K-f32.gguf")
	bin, want := legacyBin(t, testdata.Path(t, "models", "stories260k", "stories260K.bin"))
	dst := filepath.Join(t.TempDir(), "new", "stories")
	called := 0
	err := ImportGGUF(src, dst, func(dir string, g *GGUF) error {
		called++
		return os.WriteFile(filepath.Join(dir, "tokenizer.model"), []byte("x"), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dst, "tokenizer.model")); err != nil || called != 1 {
		t.Errorf("tokenizer: called %d times, %v", called, err)
	}
	k := c.Config
	if k.HiddenSize != bin.HiddenSize || k.IntermediateSize != bin.IntermediateSize || k.Layers != bin.Layers || k.Heads != bin.Heads ||
		k.KVHeads != bin.KVHeads || k.VocabSize != bin.VocabSize || k.MaxPositions != bin.MaxPositions || k.NormEps != 1e-5 ||
		k.RopeTheta != 10000 || k.TorchDType != "float32" || k.BOS != 1 || !slices.Equal(k.EOS, []int{2}) {
		t.Errorf("config %+v, expected that of %+v", k, bin)
	}
	want[headName] = want[embedName] // the .bin shares them
	compared := 0
	for _, e := range k.Expected() {
		x, err := c.Tensor(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, x.Elems())
		if err := x.Float32(got); err != nil {
			t.Fatal(err)
		}
		w := want[e.Name]
		if isQ, isK := filepath.Ext(e.Name[:len(e.Name)-7]) == ".q_proj", filepath.Ext(e.Name[:len(e.Name)-7]) == ".k_proj"; isQ || isK {
			w = rotateHalfOrder(w, x.Shape[1], k.HeadDim)
		}
		if !slices.Equal(got, w) {
			t.Errorf("tensor %s differs", e.Name)
		}
		compared += len(got)
	}
	if compared < 260000 {
		t.Errorf("compared only %d values", compared)
	}

	// Again into the same folder is refused, and changes nothing.
	wantErr(t, ImportGGUF(src, dst, nil), nil, "not empty")
	// A failing tokenizer leaves no folder behind.
	parent := t.TempDir()
	boom := errors.New("boom")
	wantErr(t, ImportGGUF(src, filepath.Join(parent, "x"), func(string, *GGUF) error { return boom }), boom, "tokenizer")
	if list, _ := os.ReadDir(parent); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
}

// rotateHalfOrder moves row 2j of each head to j and row 2j+1 to j+dim/2.
func rotateHalfOrder(w []float32, cols, dim int) []float32 {
	out := make([]float32, len(w))
	for row := range len(w) / cols {
		head, in := row/dim, row%dim
		to := head*dim + in/2 + in%2*dim/2
		copy(out[to*cols:(to+1)*cols], w[row*cols:(row+1)*cols])
	}
	return out
}

// importable is a complete GGUF of a model with one layer, with edits of its
// metadata and tensors.
func importable(edit func(keys map[string]any, shapes map[string][]uint64)) []byte {
	keys := map[string]any{"general.architecture": "llama", "llama.embedding_length": 8, "llama.feed_forward_length": 12,
		"llama.block_count": 1, "llama.attention.head_count": 2, "llama.attention.head_count_kv": 1, "llama.context_length": 32,
		"llama.attention.layer_norm_rms_epsilon": float32(1e-6)}
	shapes := map[string][]uint64{"token_embd.weight": {8, 16}, "output_norm.weight": {8}, "blk.0.attn_norm.weight": {8},
		"blk.0.ffn_norm.weight": {8}, "blk.0.attn_q.weight": {8, 8}, "blk.0.attn_k.weight": {8, 4}, "blk.0.attn_v.weight": {8, 4},
		"blk.0.attn_output.weight": {8, 8}, "blk.0.ffn_gate.weight": {8, 12}, "blk.0.ffn_up.weight": {8, 12}, "blk.0.ffn_down.weight": {12, 8}}
	if edit != nil {
		edit(keys, shapes)
	}
	b := newGGUF(3, uint64(len(shapes)), uint64(len(keys)))
	for k, v := range keys {
		b.str(k)
		switch x := v.(type) {
		case string:
			b.u32(ggufString).str(x)
		case float32:
			b.u32(ggufF32).u32(math.Float32bits(x))
		case int:
			b.u32(ggufU32).u32(uint32(x))
		}
	}
	off := uint64(0)
	for name, dims := range shapes {
		b.tensor(name, 0, off, dims...)
		n := uint64(4)
		for _, d := range dims {
			n *= d
		}
		off += (n + 31) / 32 * 32
	}
	return b.data(int(off))
}

func TestImportGGUFVariants(t *testing.T) {
	type edit = func(k map[string]any, s map[string][]uint64)
	tests := []struct {
		name  string
		edit  edit
		kind  error // nil: imported
		parts []string
	}{
		{"tied", nil, nil, nil},
		{"biases", func(k map[string]any, s map[string][]uint64) {
			s["blk.0.attn_q.bias"], s["blk.0.attn_k.bias"], s["blk.0.attn_v.bias"], s["blk.0.attn_output.bias"] = []uint64{8}, []uint64{4}, []uint64{4}, []uint64{8}
		}, nil, nil},
		{"some biases", func(k map[string]any, s map[string][]uint64) { s["blk.0.attn_q.bias"] = []uint64{8} }, ErrNotFound, []string{"attn_k.bias"}},
		{"linear scaling", func(k map[string]any, s map[string][]uint64) {
			k["llama.rope.scaling.type"], k["llama.rope.scaling.factor"] = "linear", float32(4)
		}, nil, nil},
		{"yarn", func(k map[string]any, s map[string][]uint64) { k["llama.rope.scaling.type"] = "yarn" }, ErrMalformed, []string{"rope.scaling.factor"}},
		{"other scaling", func(k map[string]any, s map[string][]uint64) { k["llama.rope.scaling.type"] = "ntk" }, ErrUnsupported, []string{"ntk"}},
		{"other architecture", func(k map[string]any, s map[string][]uint64) { k["general.architecture"] = "rwkv7" }, ErrUnsupported, []string{"rwkv7", "llama"}},
		{"experts unused", func(k map[string]any, s map[string][]uint64) { k["llama.expert_count"] = 8 }, ErrMalformed, []string{"llama.expert_used_count"}},
		{"experts of a dense family", func(k map[string]any, s map[string][]uint64) {
			k["general.architecture"], k["qwen2.expert_count"] = "qwen2", 8
			for key, v := range k {
				if rest, ok := strings.CutPrefix(key, "llama."); ok {
					k["qwen2."+rest] = v
				}
			}
		}, ErrUnsupported, []string{"8 experts", "qwen2"}},
		{"experts", func(k map[string]any, s map[string][]uint64) { withExperts(k, s, 3, 3) }, nil, nil},
		{"experts each for itself", func(k map[string]any, s map[string][]uint64) {
			withExperts(k, s, 3, 3)
			for _, part := range []string{"gate", "up", "down"} {
				whole := s["blk.0.ffn_"+part+"_exps.weight"]
				delete(s, "blk.0.ffn_"+part+"_exps.weight")
				for e := range 3 {
					s[fmt.Sprintf("blk.0.ffn_%s.%d.weight", part, e)] = whole[:2]
				}
			}
		}, nil, nil},
		{"experts unlike the router", func(k map[string]any, s map[string][]uint64) { withExperts(k, s, 3, 4) }, ErrMalformed, []string{"ffn_gate_exps", "[4 12 8]", "[3 12 8]", "among 3 experts"}},
		{"router unlike the experts", func(k map[string]any, s map[string][]uint64) {
			withExperts(k, s, 3, 3)
			s["blk.0.ffn_gate_inp.weight"] = []uint64{8, 4}
		}, ErrMalformed, []string{"ffn_gate_inp", "[4 8]", "[3 8]"}},
		{"experts by a sigmoid", func(k map[string]any, s map[string][]uint64) {
			withExperts(k, s, 3, 3)
			k["llama.expert_gating_func"] = 2
		}, ErrUnsupported, []string{"expert_gating_func", "found 2", "softmax"}},
		{"experts scaled", func(k map[string]any, s map[string][]uint64) {
			withExperts(k, s, 3, 3)
			k["llama.expert_weights_scale"] = float32(2.5)
		}, ErrUnsupported, []string{"expert_weights_scale", "2.5"}},
		{"missing key", func(k map[string]any, s map[string][]uint64) { delete(k, "llama.block_count") }, ErrMalformed, []string{"llama.block_count"}},
		{"missing eps", func(k map[string]any, s map[string][]uint64) { delete(k, "llama.attention.layer_norm_rms_epsilon") }, ErrMalformed, []string{"layer_norm_rms_epsilon"}},
		{"wrong type", func(k map[string]any, s map[string][]uint64) { k["llama.block_count"] = "1" }, ErrUnsupported, []string{"llama.block_count"}},
		{"missing tensor", func(k map[string]any, s map[string][]uint64) { delete(s, "blk.0.ffn_up.weight") }, ErrNotFound, []string{"blk.0.ffn_up.weight"}},
		{"shape", func(k map[string]any, s map[string][]uint64) { s["blk.0.ffn_up.weight"] = []uint64{8, 13} }, ErrMalformed, []string{"[13 8]", "[12 8]"}},
		{"strange tensor", func(k map[string]any, s map[string][]uint64) { s["blk.0.attn_q_norm.weight"] = []uint64{4} }, ErrUnsupported, []string{"attn_q_norm"}},
		{"partial rotation", func(k map[string]any, s map[string][]uint64) { k["llama.rope.dimension_count"] = 2 }, ErrUnsupported, []string{"partial_rotary_factor"}},
		{"strange rope_freqs", func(k map[string]any, s map[string][]uint64) { s["rope_freqs.weight"] = []uint64{2} }, ErrUnsupported, []string{"rope_freqs.weight"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "out")
			err := ImportGGUF(writeTemp(t, "m.gguf", importable(tt.edit)), dst, nil)
			if tt.kind != nil {
				wantErr(t, err, tt.kind, append(tt.parts, "m.gguf")...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c, err := Open(dst)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if !c.Config.TieEmbeddings || c.Config.NormEps != 1e-6 || c.Config.QKVBias != (tt.name == "biases") ||
				(c.Config.RopeScaling != nil) != (tt.name == "linear scaling") {
				t.Errorf("config %s", c.Config.Raw)
			}
		})
	}
}

// Llama 3.2's frequency factors are recognised from their published values.
func TestLlama3Divisor(t *testing.T) {
	s := RopeScaling{Kind: "llama3", Factor: 32, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositions: 8192}
	if a, b := s.llama3Divisor(0, 32, 5e5), s.llama3Divisor(31, 32, 5e5); a != 1 || b != 32 {
		t.Errorf("ends %v and %v, expected 1 and 32", a, b)
	}
	prev := 0.0
	for i := range 32 {
		d := s.llama3Divisor(i, 32, 5e5)
		if d < prev {
			t.Errorf("divisor %d is %v after %v, expected it not to fall", i, d, prev)
		}
		prev = d
	}
}

// withExperts makes the block's feed-forward part a mixture of so many experts by the
// metadata, and by the tensors.
func withExperts(k map[string]any, s map[string][]uint64, count, stored uint64) {
	k["llama.expert_count"], k["llama.expert_used_count"] = int(count), 2
	for _, part := range []string{"gate", "up", "down"} {
		name := "blk.0.ffn_" + part
		s[name+"_exps.weight"] = append(slices.Clone(s[name+".weight"]), stored)
		delete(s, name+".weight")
	}
	s["blk.0.ffn_gate_inp.weight"] = []uint64{8, count}
}
