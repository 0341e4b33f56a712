package checkpoint

import (
	"bytes"
	"math"
	"testing"
)

// Each parser, given any bytes, returns; what it accepts holds its promises.

func FuzzSafetensorsHeader(f *testing.F) {
	for _, h := range []string{
		`{}`, `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  `,
		`{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[4,8]},"b":{"dtype":"I8","shape":[],"data_offsets":[8,9]}}`,
		`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`,
		`{"a":{"dtype":"F4","shape":[-1],"data_offsets":[9223372036854775807,9223372036854775807]}}`,
		`{"a":{"dtype":"F64","shape":[0,1],"data_offsets":[0,0]},"a":null}`,
		`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`, "\xef\xbb\xbf{}", `{a}`, `null`,
	} {
		f.Add([]byte(h), int64(8))
	}
	f.Fuzz(func(t *testing.T, data []byte, dataLen int64) {
		if dataLen < 0 {
			return
		}
		h, err := parseHeader("f", data, 8+int64(len(data)), dataLen)
		if err != nil {
			return
		}
		var sum int64
		for _, e := range h.entries {
			n, ok := product(e.shape)
			size, whole := e.dtype.payload(n)
			if !ok || !whole || e.begin < 0 || e.end > dataLen || e.end-e.begin != size {
				t.Fatalf("accepted %+v in %d bytes", e, dataLen)
			}
			sum += size
		}
		if sum != dataLen {
			t.Fatalf("accepted tensors of %d bytes for %d", sum, dataLen)
		}
	})
}

func FuzzConfig(f *testing.F) {
	for _, s := range []string{tinyConfig, llama32v4, llama32v5, `{"architectures":["MistralForCausalLM"]}`, `{"rope_scaling":{"type":"yarn"}}`, "\xef\xbb\xbf{}", "null", `[1]`, `{"a":1 "b":2}`,
		string(edited(f, familyEdits("Gemma3ForCausalLM", map[string]string{"sliding_window": "8"}))),
		string(edited(f, familyEdits("SmolLM3ForCausalLM", map[string]string{"no_rope_layers": "[1,0,1,1]"}))),
		string(edited(f, familyEdits("GraniteForCausalLM", map[string]string{"logits_scaling": "8"}))),
		string(edited(f, familyEdits("Phi3ForCausalLM", map[string]string{"partial_rotary_factor": "0.5", "rope_scaling": `{"type":"su","short_factor":[1],"long_factor":[3]}`})))} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data, "f")
		if err != nil {
			return
		}
		if c.Heads*c.HeadDim == 0 || c.HeadDim%2 != 0 || c.Heads%c.KVHeads != 0 || c.NormEps <= 0 || c.RopeTheta <= 0 || c.BOS >= c.VocabSize {
			t.Fatalf("accepted %+v", c)
		}
		if c.RopeScaling != nil && c.RopeScaling.Factor < 1 {
			t.Fatalf("accepted %+v", c.RopeScaling)
		}
		if r := c.Rotary(); r < 2 || r%2 != 0 || r > c.HeadDim || c.NoRope != nil && len(c.NoRope) != c.Layers || c.Full != nil && (len(c.Full) != c.Layers || c.SlidingWindow == 0) {
			t.Fatalf("accepted %+v", c.Parts)
		}
		if s := c.AttentionScale() * c.EmbeddingScale() * c.AddedScale() * c.OutputScale(); !(s > 0) || math.IsInf(float64(s), 0) {
			t.Fatalf("accepted the multipliers %+v", c.Parts)
		}
		for _, e := range c.Expected() {
			if n, ok := product(e.Shape); !ok || n <= 0 {
				t.Fatalf("expects %v", e)
			}
		}
		if err := c.withGeneration(data, "f"); err != nil {
			t.Fatalf("generation fields passed once and failed then: %v", err)
		}
	})
}

func FuzzIndex(f *testing.F) {
	for _, s := range []string{`{"metadata":{"total_size":1},"weight_map":{"a":"m.safetensors"}}`, `{"weight_map":{"a":"../m.safetensors"}}`,
		`{"weight_map":{"a":"..","a":1}}`, `{"weight_map":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseIndex(data, "f")
		for name, shard := range m {
			if err == nil && (bytes.ContainsAny([]byte(shard), `/\:`) || shard == ".." || len(shard) < len(".safetensors")) {
				t.Fatalf("accepted shard %q of %q", shard, name)
			}
		}
	})
}

func FuzzGGUF(f *testing.F) {
	b := newGGUF(3, 1, 2)
	b.str("s").u32(ggufArray).u32(ggufString).u64(2).str("x").str("yy")
	b.str("general.alignment").u32(ggufU32).u32(64)
	f.Add(b.tensor("w", 0, 0, 3, 2).data(64))
	f.Add(importable(nil))
	f.Add(importable(func(k map[string]any, s map[string][]uint64) { k["general.architecture"] = "gemma3" }))
	f.Add(newGGUF(2, 1<<40, 1<<40).data(0))
	f.Fuzz(func(t *testing.T, data []byte) {
		size := int64(len(data))
		g, err := parseGGUF("f", bytes.NewReader(data), size)
		if err != nil {
			return
		}
		for name, e := range g.entries {
			n, ok := product(e.shape)
			cols := 1
			if len(e.shape) > 0 {
				cols = e.shape[len(e.shape)-1]
			}
			row, _ := e.dtype.RowBytes(cols)
			if !ok || e.begin < 0 || e.end > size || e.end-e.begin != int64(n/cols*row) {
				t.Fatalf("accepted %q %+v in %d bytes", name, e, size)
			}
		}
		g.path, g.regions = "f", []*region{{path: "f", size: size, mapped: data}}
		for _, e := range g.entries {
			e.region = g.regions[0]
		}
		_, _, _, _, _, _, _ = g.Vocabulary()
		ck, err := g.model()
		if err != nil {
			return
		}
		if err := ck.Check(); err != nil {
			t.Fatalf("accepted and then: %v", err)
		}
		for _, name := range ck.Names() {
			x, err := ck.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			_ = x.Float32(make([]float32, x.Elems())) // may be NaN
		}
	})
}
