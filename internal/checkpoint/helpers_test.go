package checkpoint

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rawSafetensors is a file with the given header and n bytes of data.
func rawSafetensors(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(b, header...)
	return append(b, make([]byte, n)...)
}

func writeTemp(t testing.TB, name string, data []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	put(t, p, data)
	return p
}

func put(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantErr fails unless err is of the kind and contains every part.
func wantErr(t testing.TB, err, kind error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, expected one with %q", parts)
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("error %q is not %q", err, kind)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q lacks %q", err, p)
		}
	}
}

func floats(t testing.TB, d DType, v ...float32) []byte {
	t.Helper()
	b, err := AppendFloats(nil, d, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tinyConfig is a complete config of one layer: hidden 8, 2 heads, 1 kv head.
const tinyConfig = `{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":8,"intermediate_size":12,
"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"vocab_size":16,"max_position_embeddings":32,
"rms_norm_eps":1e-5,"bos_token_id":1,"eos_token_id":2}`

// tinySpecs are zero tensors for tinyConfig.
func tinySpecs(t testing.TB) []TensorSpec {
	t.Helper()
	c, err := ParseConfig([]byte(tinyConfig), "config.json")
	if err != nil {
		t.Fatal(err)
	}
	var specs []TensorSpec
	for _, e := range c.Expected() {
		n, _ := product(e.Shape)
		specs = append(specs, TensorSpec{Name: e.Name, DType: BF16, Shape: e.Shape, Data: make([]byte, 2*n)})
	}
	return specs
}
