package checkpoint

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// edited is tinyConfig with fields set to raw JSON, or removed where "".
func edited(t testing.TB, edits map[string]string) []byte {
	t.Helper()
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(tinyConfig), &m); err != nil {
		t.Fatal(err)
	}
	for k, v := range edits {
		m[k] = json.RawMessage(v)
		if v == "" {
			delete(m, k)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The published config of Llama 3.2 1B, in the spelling of transformers 4 and 5.
const llama32 = `{"architectures":["LlamaForCausalLM"],"attention_bias":false,"attention_dropout":0.0,"bos_token_id":128000,
"eos_token_id":[128001,128008,128009],"head_dim":64,"hidden_act":"silu","hidden_size":2048,"initializer_range":0.02,
"intermediate_size":8192,"max_position_embeddings":131072,"mlp_bias":false,"model_type":"llama","num_attention_heads":32,
"num_hidden_layers":16,"num_key_value_heads":8,"pretraining_tp":1,"rms_norm_eps":1e-05,
"tie_word_embeddings":true,"use_cache":true,"vocab_size":128256,`

const (
	llama32v4 = llama32 + `"rope_scaling":{"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,
"original_max_position_embeddings":8192,"rope_type":"llama3"},"rope_theta":500000.0,"torch_dtype":"bfloat16"}`
	llama32v5 = llama32 + `"rope_parameters":{"factor":32.0,"high_freq_factor":4.0,"low_freq_factor":1.0,
"original_max_position_embeddings":8192,"rope_type":"llama3","rope_theta":500000.0},"dtype":"bfloat16"}`
)

func TestParseConfigLlama3(t *testing.T) {
	want := Config{Architecture: "LlamaForCausalLM", ModelType: "llama", HiddenSize: 2048, IntermediateSize: 8192,
		Layers: 16, Heads: 32, KVHeads: 8, HeadDim: 64, VocabSize: 128256, MaxPositions: 131072, NormEps: 1e-5,
		RopeTheta: 500000, RopeScaling: &RopeScaling{Kind: "llama3", Factor: 32, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositions: 8192}, TieEmbeddings: true,
		BOS: 128000, EOS: []int{128001, 128008, 128009}, TorchDType: "bfloat16"}
	for _, s := range []string{llama32v4, llama32v5} {
		got, err := ParseConfig([]byte(s), "config.json")
		if err != nil {
			t.Fatal(err)
		}
		want.Raw = []byte(s)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("found %+v, expected %+v", got, want)
		}
	}
}

func TestParseConfigDefaults(t *testing.T) {
	parse := func(edits map[string]string) Config {
		t.Helper()
		c, err := ParseConfig(edited(t, edits), "config.json")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := parse(map[string]string{"num_key_value_heads": "", "architectures": "", "max_position_embeddings": "", "rope_scaling": "null"})
	if c.KVHeads != 2 || c.HeadDim != 4 || c.Architecture != "LlamaForCausalLM" || c.MaxPositions != 2048 ||
		c.RopeTheta != 10000 || c.RopeScaling != nil || c.TieEmbeddings || c.SlidingWindow != 0 || c.BOS != 1 || !slices.Equal(c.EOS, []int{2}) {
		t.Errorf("defaults: %+v", c)
	}
	c = parse(map[string]string{"bos_token_id": "null", "eos_token_id": "null", "num_key_value_heads": "null", "unknown": `{"x":[1]}`})
	if c.BOS != -1 || c.EOS != nil || c.KVHeads != 2 {
		t.Errorf("nulls: %+v", c)
	}
	c = parse(map[string]string{"bos_token_id": "", "eos_token_id": "[3,-1,3,4]", "vocab_size": "5", "max_position_embeddings": "", "max_sequence_length": "77"})
	if c.BOS != 1 || !slices.Equal(c.EOS, []int{3, 4}) || c.MaxPositions != 77 {
		t.Errorf("tokens: %+v", c)
	}
	if c = parse(map[string]string{"head_dim": "6", "hidden_size": "10", "quantization_config": `{"quant_method":"specquant","bits":4}`}); c.HeadDim != 6 ||
		c.QuantMethod() != "specquant" || string(c.Quantization) != `{"quant_method":"specquant","bits":4}` {
		t.Errorf("head_dim and quantization: %+v", c)
	}
	mistral := map[string]string{"architectures": `["MistralForCausalLM"]`, "model_type": `"mistral"`, "attention_bias": "true"}
	if c = parse(mistral); c.SlidingWindow != 4096 || c.QKVBias {
		t.Errorf("mistral: %+v", c)
	}
	mistral["sliding_window"] = "null"
	if c = parse(mistral); c.SlidingWindow != 0 {
		t.Errorf("mistral without window: %+v", c)
	}
	for scaling, want := range map[string]*RopeScaling{
		`{"type":"linear","factor":2}`:                        {Kind: "linear", Factor: 2},
		`{"rope_type":"linear","type":"linear","factor":2.5}`: {Kind: "linear", Factor: 2.5},
		`{"type":"dynamic","factor":4.0}`:                     {Kind: "dynamic", Factor: 4, OriginalMaxPositions: 32},
		`{"rope_type":"default"}`:                             nil,
		`{}`:                                                  nil,
		`{"rope_type":"default","rope_theta":5,"type":"default"}`: nil,
	} {
		if c = parse(map[string]string{"rope_scaling": scaling}); !reflect.DeepEqual(c.RopeScaling, want) {
			t.Errorf("%s: found %+v, expected %+v", scaling, c.RopeScaling, want)
		}
	}
	if c = parse(map[string]string{"rope_parameters": `{"rope_theta":5e5}`}); c.RopeTheta != 5e5 || c.RopeScaling != nil {
		t.Errorf("rope_parameters: %+v", c)
	}
}

func TestParseConfigCutOff(t *testing.T) {
	for text, want := range map[string]string{"": "is empty", "{": "the end after", `{"a": 1`: "the end after", `{"a": {"b": `: "the end after", `{"a"`: "the end after"} {
		_, err := ParseConfig([]byte(text), "config.json")
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParseConfigRefuses(t *testing.T) {
	tests := []struct {
		name  string
		edits map[string]string
		kind  error
		parts []string
	}{
		{"architecture", map[string]string{"architectures": `["FalconForCausalLM"]`}, ErrUnsupported, []string{"FalconForCausalLM", "MistralForCausalLM"}},
		{"head class", map[string]string{"architectures": `["LlamaForSequenceClassification"]`}, ErrUnsupported, []string{"LlamaForSequenceClassification"}},
		{"type alone", map[string]string{"architectures": "", "model_type": `"gemma"`}, ErrUnsupported, []string{"gemma"}},
		{"neither", map[string]string{"architectures": "", "model_type": ""}, ErrMalformed, []string{"architectures"}},
		{"empty list", map[string]string{"architectures": "[]"}, ErrMalformed, []string{"architectures"}},
		{"mismatch", map[string]string{"model_type": `"mistral"`}, ErrUnsupported, []string{"mistral", "LlamaForCausalLM"}},
		{"missing", map[string]string{"hidden_size": ""}, ErrMalformed, []string{`"hidden_size"`, "missing"}},
		{"missing eps", map[string]string{"rms_norm_eps": "null"}, ErrMalformed, []string{`"rms_norm_eps"`}},
		{"string", map[string]string{"num_hidden_layers": `"4"`}, ErrMalformed, []string{`"num_hidden_layers"`, `"4"`, "whole number"}},
		{"fraction", map[string]string{"vocab_size": "1.5"}, ErrMalformed, []string{`"vocab_size"`, "1.5"}},
		{"zero", map[string]string{"hidden_size": "0"}, ErrMalformed, []string{"found 0, expected 1 to 65536"}},
		{"negative", map[string]string{"num_attention_heads": "-2"}, ErrMalformed, []string{"found -2"}},
		{"giant", map[string]string{"hidden_size": "65537"}, ErrMalformed, []string{"65537"}},
		{"layers", map[string]string{"num_hidden_layers": "1025"}, ErrMalformed, []string{"1024"}},
		{"vocab", map[string]string{"vocab_size": "9999999999"}, ErrMalformed, []string{"4194304"}},
		{"heads", map[string]string{"num_attention_heads": "3", "num_key_value_heads": "3"}, ErrMalformed, []string{"3 heads do not divide hidden_size 8"}},
		{"kv heads", map[string]string{"num_attention_heads": "4", "num_key_value_heads": "3"}, ErrMalformed, []string{`"num_key_value_heads"`, "3", "4"}},
		{"odd head", map[string]string{"head_dim": "5"}, ErrMalformed, []string{`"head_dim"`, "even"}},
		{"odd derived head", map[string]string{"hidden_size": "6"}, ErrMalformed, []string{`"head_dim"`, "is 3"}},
		{"act", map[string]string{"hidden_act": `"gelu"`}, ErrUnsupported, []string{"gelu", "silu"}},
		{"eps", map[string]string{"rms_norm_eps": "0"}, ErrMalformed, []string{`"rms_norm_eps"`}},
		{"theta", map[string]string{"rope_theta": `"x"`}, ErrMalformed, []string{`"rope_theta"`, "number"}},
		{"bool", map[string]string{"tie_word_embeddings": `"yes"`}, ErrMalformed, []string{`"tie_word_embeddings"`}},
		{"eos", map[string]string{"eos_token_id": "[1,16]"}, ErrMalformed, []string{`"eos_token_id"`, "16"}},
		{"bos", map[string]string{"bos_token_id": `"<s>"`}, ErrMalformed, []string{`"bos_token_id"`}},
		{"scaling kind", map[string]string{"rope_scaling": `{"type":"proportional","factor":2}`}, ErrUnsupported, []string{"proportional", "llama3"}},
		{"longrope", map[string]string{"rope_parameters": `{"rope_type":"longrope","factor":2}`}, ErrMalformed, []string{"short_factor"}},
		{"longrope length", map[string]string{"rope_parameters": `{"rope_type":"longrope","factor":2,"short_factor":[1],"long_factor":[1,1]}`}, ErrMalformed, []string{"short_factor", "2 numbers"}},
		{"longrope divisor", map[string]string{"rope_parameters": `{"rope_type":"longrope","factor":2,"short_factor":[1,0],"long_factor":[1,1]}`}, ErrMalformed, []string{"short_factor", "number 1 is 0"}},
		{"yarn order", map[string]string{"rope_scaling": `{"type":"yarn","factor":2,"beta_fast":1,"beta_slow":2}`}, ErrMalformed, []string{"beta_fast", "beta_slow"}},
		{"yarn factor", map[string]string{"rope_scaling": `{"type":"yarn"}`}, ErrMalformed, []string{"factor", "missing"}},
		{"scaled queries", map[string]string{"rope_scaling": `{"type":"yarn","factor":2,"llama_4_scaling_beta":0.1}`}, ErrUnsupported, []string{"llama_4_scaling_beta"}},
		{"two kinds", map[string]string{"rope_scaling": `{"type":"linear","rope_type":"dynamic","factor":2}`}, ErrMalformed, []string{"linear", "dynamic"}},
		{"no kind", map[string]string{"rope_scaling": `{"factor":2}`}, ErrMalformed, []string{"rope_type"}},
		{"no factor", map[string]string{"rope_scaling": `{"type":"linear"}`}, ErrMalformed, []string{"rope_scaling", `"factor"`}},
		{"small factor", map[string]string{"rope_scaling": `{"type":"linear","factor":0.5}`}, ErrMalformed, []string{`"factor"`, "0.5"}},
		{"llama3 field", map[string]string{"rope_scaling": `{"rope_type":"llama3","factor":8,"low_freq_factor":1}`}, ErrMalformed, []string{"high_freq_factor"}},
		{"llama3 order", map[string]string{"rope_scaling": `{"rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4,"original_max_position_embeddings":8192}`}, ErrMalformed, []string{"high_freq_factor"}},
		{"not an object", map[string]string{"rope_scaling": `"linear"`}, ErrMalformed, []string{"rope_scaling"}},
		{"both differ", map[string]string{"rope_scaling": `{"type":"linear","factor":2}`, "rope_parameters": `{"rope_type":"linear","factor":3}`}, ErrMalformed, []string{"rope_parameters"}},
		{"one scales", map[string]string{"rope_scaling": `{"type":"linear","factor":2}`, "rope_parameters": `{"rope_theta":1e4}`}, ErrMalformed, []string{"rope_parameters"}},
		{"thetas differ", map[string]string{"rope_theta": "1e4", "rope_parameters": `{"rope_theta":5e5}`}, ErrMalformed, []string{"rope_theta", "500000"}},
		{"partial", map[string]string{"partial_rotary_factor": "0.5"}, ErrUnsupported, []string{"partial_rotary_factor"}},
		{"interleaved", map[string]string{"rope_interleaved": "true"}, ErrUnsupported, []string{"rope_interleaved"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseConfig(edited(t, tt.edits), "dir/config.json")
			wantErr(t, err, tt.kind, append(tt.parts, "dir/config.json")...)
		})
	}
	for _, s := range []string{"", "[]", "{", `{"a":1,"a":2}`, tinyConfig + "x", "\xff"} {
		_, err := ParseConfig([]byte(s), "c")
		wantErr(t, err, ErrMalformed, "c: ")
	}
}

func TestExpected(t *testing.T) {
	c, err := ParseConfig(edited(t, map[string]string{"attention_bias": "true", "mlp_bias": "true"}), "c")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]int{}
	for _, e := range c.Expected() {
		got[e.Name] = e.Shape
	}
	want := map[string][]int{
		"model.embed_tokens.weight": {16, 8}, "model.norm.weight": {8}, "lm_head.weight": {16, 8},
		"model.layers.0.input_layernorm.weight": {8}, "model.layers.0.post_attention_layernorm.weight": {8},
		"model.layers.0.self_attn.q_proj.weight": {8, 8}, "model.layers.0.self_attn.q_proj.bias": {8},
		"model.layers.0.self_attn.k_proj.weight": {4, 8}, "model.layers.0.self_attn.k_proj.bias": {4},
		"model.layers.0.self_attn.v_proj.weight": {4, 8}, "model.layers.0.self_attn.v_proj.bias": {4},
		"model.layers.0.self_attn.o_proj.weight": {8, 8}, "model.layers.0.self_attn.o_proj.bias": {8},
		"model.layers.0.mlp.gate_proj.weight": {12, 8}, "model.layers.0.mlp.gate_proj.bias": {12},
		"model.layers.0.mlp.up_proj.weight": {12, 8}, "model.layers.0.mlp.up_proj.bias": {12},
		"model.layers.0.mlp.down_proj.weight": {8, 12}, "model.layers.0.mlp.down_proj.bias": {8},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("found %v, expected %v", got, want)
	}
	c.TieEmbeddings = true
	if n := len(c.Expected()); n != len(want)-1 {
		t.Errorf("%d tensors when tied, expected %d", n, len(want)-1)
	}
}
