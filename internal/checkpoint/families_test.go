package checkpoint

import (
	"maps"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// familyEdits turn tinyConfig (2 heads of 4, hidden 8) into one of the family with
// four blocks, in the fields that the family's own files have.
func familyEdits(class string, more map[string]string) map[string]string {
	e := map[string]string{"architectures": `["` + class + `"]`, "model_type": "", "num_hidden_layers": "4", "rope_scaling": "", "rope_parameters": "",
		"head_dim": "4", "bos_token_id": "1", "eos_token_id": "2", "tie_word_embeddings": "", "max_position_embeddings": "64"}
	maps.Copy(e, more)
	return e
}

func TestFamilies(t *testing.T) {
	half := 1 / math.Sqrt(8.0)
	tests := []struct {
		name, class string
		edits       map[string]string
		window      int
		tied        bool
		want        Parts
	}{
		{"qwen2", "Qwen2ForCausalLM", map[string]string{"use_sliding_window": "false", "sliding_window": "16", "max_window_layers": "2"}, 0, false, Parts{QKVBias: true}},
		{"qwen2 window", "Qwen2ForCausalLM", map[string]string{"use_sliding_window": "true", "sliding_window": "16", "max_window_layers": "3"}, 16, false,
			Parts{QKVBias: true, Full: []bool{true, true, true, false}}},
		{"qwen2 window of none", "Qwen2ForCausalLM", map[string]string{"use_sliding_window": "true", "sliding_window": "16", "max_window_layers": "4"}, 0, false, Parts{QKVBias: true}},
		{"qwen3", "Qwen3ForCausalLM", map[string]string{"attention_bias": "true", "use_sliding_window": "false"}, 0, false, Parts{QKNorm: QKHead, QKVBias: true, OBias: true}},
		{"ministral", "MinistralForCausalLM", map[string]string{"sliding_window": "8", "layer_types": `["full_attention","sliding_attention","sliding_attention","sliding_attention"]`}, 8, false,
			Parts{Full: []bool{true, false, false, false}}},
		{"gemma2", "Gemma2ForCausalLM", map[string]string{"sliding_window": "8", "query_pre_attn_scalar": "8"}, 8, true,
			Parts{Activation: GELUTanh, PostNorm: true, NormOffset: 1, Full: []bool{false, true, false, true}, AttnScale: half, EmbedScale: math.Sqrt(8), AttnSoftCap: 50, LogitSoftCap: 30}},
		{"gemma3", "Gemma3ForCausalLM", map[string]string{"model_type": `"gemma3_text"`, "sliding_window": "8", "query_pre_attn_scalar": "8", "sliding_window_pattern": "3", "rope_local_base_freq": "500"}, 8, true,
			Parts{Activation: GELUTanh, PostNorm: true, NormOffset: 1, QKNorm: QKHead, Full: []bool{false, false, true, false}, LocalTheta: 500, AttnScale: half, EmbedScale: math.Sqrt(8)}},
		{"gemma3 of transformers 5", "Gemma3ForCausalLM", map[string]string{"rope_theta": "", "sliding_window": "8", "query_pre_attn_scalar": "8",
			"layer_types":     `["sliding_attention","full_attention","full_attention","sliding_attention"]`,
			"rope_parameters": `{"full_attention":{"rope_type":"default","rope_theta":77},"sliding_attention":{"rope_type":"default","rope_theta":500}}`}, 8, true,
			Parts{Activation: GELUTanh, PostNorm: true, NormOffset: 1, QKNorm: QKHead, Full: []bool{false, true, true, false}, LocalTheta: 500, AttnScale: half, EmbedScale: math.Sqrt(8)}},
		{"phi3", "Phi3ForCausalLM", map[string]string{"partial_rotary_factor": "0.5", "sliding_window": "16"}, 16, false, Parts{Fused: true, RotaryDim: 2}},
		{"granite", "GraniteForCausalLM", map[string]string{"embedding_multiplier": "12", "residual_multiplier": "0.25", "attention_multiplier": "0.0625", "logits_scaling": "8", "mlp_bias": "true"}, 0, false,
			Parts{MLPBias: true, EmbedScale: 12, ResidualScale: 0.25, AttnScale: 0.0625, LogitScale: 0.125}},
		{"olmo2", "Olmo2ForCausalLM", nil, 0, false, Parts{NoPreNorm: true, PostNorm: true, QKNorm: QKWhole}},
		{"mixtral", "MixtralForCausalLM", map[string]string{"num_local_experts": "4", "num_experts_per_tok": "3", "sliding_window": "null"}, 0, false,
			Parts{Experts: Experts{Count: 4, Used: 3, Normed: true, Numbered: true}}},
		{"qwen3 experts", "Qwen3MoeForCausalLM", map[string]string{"num_experts": "4", "num_experts_per_tok": "1", "moe_intermediate_size": "6"}, 0, false,
			Parts{QKNorm: QKHead, Experts: Experts{Count: 4, Used: 1}}},
		{"qwen3 experts in some blocks", "Qwen3MoeForCausalLM", map[string]string{"num_experts": "4", "num_experts_per_tok": "1", "moe_intermediate_size": "6", "norm_topk_prob": "true", "decoder_sparse_step": "2", "mlp_only_layers": "[3]"}, 0, false,
			Parts{QKNorm: QKHead, Experts: Experts{Count: 4, Used: 1, Normed: true, Dense: []bool{true, false, true, true}, DenseWidth: 12}}},
		{"qwen3 experts in no block", "Qwen3MoeForCausalLM", map[string]string{"mlp_only_layers": "[0,1,2,3]"}, 0, false, Parts{QKNorm: QKHead}},
		{"olmoe", "OlmoeForCausalLM", map[string]string{"num_experts": "4", "num_experts_per_tok": "4", "clip_qkv": "null"}, 0, false, Parts{QKNorm: QKWhole, Experts: Experts{Count: 4, Used: 4}}},
		{"smollm3", "SmolLM3ForCausalLM", nil, 0, true, Parts{NoRope: []bool{false, false, false, true}}},
		{"smollm3 list", "SmolLM3ForCausalLM", map[string]string{"no_rope_layers": "[1,0,1,1]", "use_sliding_window": "true", "sliding_window": "8"}, 8, true,
			Parts{NoRope: []bool{false, true, false, false}, Full: []bool{true, false, true, true}}},
		{"artefact of gemma3", "Gemma3ForCausalLM", map[string]string{"sliding_window": "8", "sliding_window_pattern": "1", "quantization_config": `{"quant_method":"specquant"}`}, 0, true,
			Parts{Activation: GELUTanh, PostNorm: true, QKNorm: QKHead, LocalTheta: 10000, AttnScale: 1.0 / 16, EmbedScale: math.Sqrt(8)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseConfig(edited(t, familyEdits(tt.class, tt.edits)), "config.json")
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(c.Parts, tt.want) || c.SlidingWindow != tt.window || c.TieEmbeddings != tt.tied {
				t.Errorf("window %d, tied %v, parts\n%+v, expected %d, %v,\n%+v", c.SlidingWindow, c.TieEmbeddings, c.Parts, tt.window, tt.tied, tt.want)
			}
		})
	}
}

func TestRopeKinds(t *testing.T) {
	c, err := ParseConfig(edited(t, familyEdits("Phi3ForCausalLM", map[string]string{"max_position_embeddings": "64", "original_max_position_embeddings": "16",
		"rope_scaling": `{"type":"su","short_factor":[1,2],"long_factor":[3,4]}`})), "c")
	if err != nil {
		t.Fatal(err)
	}
	want := &RopeScaling{Kind: "longrope", Factor: 4, OriginalMaxPositions: 16, AttentionFactor: math.Sqrt(1 + math.Log(4)/math.Log(16)), Short: []float64{1, 2}, Long: []float64{3, 4}}
	if !reflect.DeepEqual(c.RopeScaling, want) {
		t.Errorf("found %+v, expected %+v", c.RopeScaling, want)
	}
	c, err = ParseConfig(edited(t, familyEdits("Qwen2ForCausalLM", map[string]string{"rope_scaling": `{"type":"yarn","factor":4,"original_max_position_embeddings":16}`})), "c")
	if err != nil {
		t.Fatal(err)
	}
	want = &RopeScaling{Kind: "yarn", Factor: 4, OriginalMaxPositions: 16, BetaFast: 32, BetaSlow: 1, AttentionFactor: 0.1*math.Log(4) + 1}
	if !reflect.DeepEqual(c.RopeScaling, want) {
		t.Errorf("found %+v, expected %+v", c.RopeScaling, want)
	}
}

func TestFamiliesRefuse(t *testing.T) {
	tests := []struct {
		name, class string
		edits       map[string]string
		kind        error
		parts       []string
	}{
		{"layer types length", "Qwen3ForCausalLM", map[string]string{"layer_types": `["full_attention"]`}, ErrMalformed, []string{"layer_types", "4 strings"}},
		{"layer type", "Qwen3ForCausalLM", map[string]string{"layer_types": `["full_attention","full_attention","linear_attention","full_attention"]`}, ErrUnsupported, []string{"layer_types", "block 2", "linear_attention"}},
		{"window without one", "Qwen3ForCausalLM", map[string]string{"layer_types": `["full_attention","full_attention","full_attention","sliding_attention"]`}, ErrMalformed, []string{"layer_types", "block 3", "use_sliding_window"}},
		{"gemma window", "Gemma2ForCausalLM", nil, ErrMalformed, []string{"sliding_window", "missing"}},
		{"gemma act", "Gemma2ForCausalLM", map[string]string{"sliding_window": "8", "hidden_activation": `"relu"`}, ErrUnsupported, []string{"hidden_activation", "relu"}},
		{"gemma both ways", "Gemma3ForCausalLM", map[string]string{"sliding_window": "8", "use_bidirectional_attention": "true"}, ErrUnsupported, []string{"use_bidirectional_attention"}},
		{"gemma scaled window", "Gemma3ForCausalLM", map[string]string{"sliding_window": "8", "rope_parameters": `{"full_attention":{},"sliding_attention":{"rope_type":"linear","factor":2}}`}, ErrUnsupported, []string{"sliding_attention", "linear"}},
		{"cap", "Gemma2ForCausalLM", map[string]string{"sliding_window": "8", "attn_logit_softcapping": "-1"}, ErrMalformed, []string{"attn_logit_softcapping", "-1"}},
		{"partial", "Phi3ForCausalLM", map[string]string{"partial_rotary_factor": "0.3"}, ErrMalformed, []string{"partial_rotary_factor", "are 1"}},
		{"partial twice", "Phi3ForCausalLM", map[string]string{"partial_rotary_factor": "0.5", "rope_parameters": `{"partial_rotary_factor":1}`}, ErrMalformed, []string{"partial_rotary_factor", "one value"}},
		{"multiplier", "GraniteForCausalLM", map[string]string{"logits_scaling": "0"}, ErrMalformed, []string{"logits_scaling", "found 0"}},
		{"more experts than there are", "MixtralForCausalLM", map[string]string{"num_local_experts": "4", "num_experts_per_tok": "5"}, ErrMalformed, []string{"num_experts_per_tok", "found 5", "4 experts", "num_local_experts"}},
		{"no experts", "OlmoeForCausalLM", map[string]string{"num_experts": "0"}, ErrMalformed, []string{"num_experts", "found 0", "1 to 1024"}},
		{"experts of many blocks", "OlmoeForCausalLM", map[string]string{"num_experts": "1024", "num_hidden_layers": "65"}, ErrMalformed, []string{"num_experts", "found 1024 in each of 65 blocks", "65536"}},
		{"dense block", "Qwen3MoeForCausalLM", map[string]string{"mlp_only_layers": "[4]"}, ErrMalformed, []string{"mlp_only_layers", "found block 4", "0 to 3"}},
		{"dense blocks", "Qwen3MoeForCausalLM", map[string]string{"mlp_only_layers": "true"}, ErrMalformed, []string{"mlp_only_layers", "list"}},
		{"sparse step", "Qwen3MoeForCausalLM", map[string]string{"decoder_sparse_step": "0"}, ErrMalformed, []string{"decoder_sparse_step", "found 0"}},
		{"clip", "OlmoeForCausalLM", map[string]string{"clip_qkv": "8.0"}, ErrUnsupported, []string{"clip_qkv", "8.0", "null"}},
		{"no rope", "SmolLM3ForCausalLM", map[string]string{"no_rope_layers": "[1,1,1]"}, ErrMalformed, []string{"no_rope_layers", "4 numbers"}},
		{"no rope value", "SmolLM3ForCausalLM", map[string]string{"no_rope_layers": "[1,1,1,2]"}, ErrMalformed, []string{"no_rope_layers", "block 3 is 2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseConfig(edited(t, familyEdits(tt.class, tt.edits)), "dir/config.json")
			wantErr(t, err, tt.kind, append(tt.parts, "dir/config.json")...)
		})
	}
}

// TestNormNames holds the norms' names against the published files'.
func TestNormNames(t *testing.T) {
	names := func(class string, edits map[string]string) []string {
		c, err := ParseConfig(edited(t, familyEdits(class, edits)), "c")
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for n := range NumNorms {
			if c.HasNorm(n) {
				out = append(out, c.NormName(n))
			}
		}
		return out
	}
	for _, tt := range []struct {
		got, want []string
	}{
		{names("LlamaForCausalLM", nil), []string{"input_layernorm", "post_attention_layernorm"}},
		{names("Qwen3ForCausalLM", nil), []string{"input_layernorm", "self_attn.q_norm", "self_attn.k_norm", "post_attention_layernorm"}},
		{names("Gemma2ForCausalLM", map[string]string{"sliding_window": "8"}), []string{"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"}},
		{names("Olmo2ForCausalLM", nil), []string{"self_attn.q_norm", "self_attn.k_norm", "post_attention_layernorm", "post_feedforward_layernorm"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("found %v, expected %v", tt.got, tt.want)
		}
	}
}

// TestFamiliesDocumented: the page has a line for each family.
func TestFamiliesDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/ARCHITECTURES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.Contains(string(page), "| `"+f.class+"` | "+f.models) {
			t.Errorf("docs/ARCHITECTURES.md has no line of %s (%s)", f.class, f.models)
		}
	}
}
