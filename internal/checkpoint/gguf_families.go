package checkpoint

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// ggufFamily maps a general.architecture of GGUF to Hugging Face's terms.
type ggufFamily struct {
	class, modelType string

	// paired: the two rows of queries and keys that rotary embedding combines are adjacent;
	// in Hugging Face's order they are half a head apart.
	paired bool
	// offset: norm weights are stored with 1 added; Hugging Face's model adds it itself.
	offset bool
	// experts: the MLPs of its blocks may be mixtures of experts.
	experts bool
	names   map[string]string // parts of a block's names that differ from ggufParts

	// fields adds the fields of config.json that only this family has. dim is the head's
	// width.
	fields func(k *ggufKeys, c hfConfig, dim int64)
}

// ggufFamilies are the architectures that can be translated; [ParseConfig] decides whether
// the program can run one, as it does for a folder.
var ggufFamilies = map[string]*ggufFamily{
	"llama":   {class: "LlamaForCausalLM", modelType: "llama", paired: true, experts: true, fields: llamaFields},
	"qwen2":   {class: "Qwen2ForCausalLM", modelType: "qwen2"},
	"qwen3":   {class: "Qwen3ForCausalLM", modelType: "qwen3", fields: attentionBiasField},
	"gemma2":  {class: "Gemma2ForCausalLM", modelType: "gemma2", offset: true, names: postNormNames, fields: gemma2Fields},
	"gemma3":  {class: "Gemma3ForCausalLM", modelType: "gemma3_text", offset: true, names: postNormNames, fields: gemma3Fields},
	"phi3":    {class: "Phi3ForCausalLM", modelType: "phi3", fields: phi3Fields},
	"granite": {class: "GraniteForCausalLM", modelType: "granite", paired: true, fields: graniteFields},
	"olmo2":   {class: "Olmo2ForCausalLM", modelType: "olmo2", names: postNormNames, fields: olmo2Fields},
	// Mixtral's files have the architecture llama, see mixtralFields.
	"qwen3moe": {class: "Qwen3MoeForCausalLM", modelType: "qwen3_moe", experts: true, fields: qwen3MoeFields},
	"olmoe":    {class: "OlmoeForCausalLM", modelType: "olmoe", experts: true, fields: olmoeFields},
	"smollm3":  {class: "SmolLM3ForCausalLM", modelType: "smollm3", paired: true, fields: llamaFields},
}

// ggufArchitectures lists the architectures for an error.
func ggufArchitectures() string {
	return strings.Join(slices.Sorted(maps.Keys(ggufFamilies)), ", ")
}

// ggufParts maps the parts of a block's Hugging Face names to GGUF's.
var ggufParts = map[string]string{
	"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
	"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
	"self_attn.qkv_proj": "attn_qkv", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
	"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate_up_proj": "ffn_up",
	Router: "ffn_gate_inp",
}

// postNormNames are the names in blocks that normalize the outputs of attention and MLP.
var postNormNames = map[string]string{
	"post_attention_layernorm": "post_attention_norm", "pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
}

// name is the GGUF name of a tensor of Config.Expected; "" if GGUF does not have it.
func (f *ggufFamily) name(hf string) string {
	switch hf {
	case embedName:
		return "token_embd.weight"
	case normName:
		return "output_norm.weight"
	case headName:
		return "output.weight"
	}
	layer, part, _ := strings.Cut(strings.TrimPrefix(hf, blockPrefix), ".")
	dot := strings.LastIndexByte(part, '.')
	if dot < 0 {
		return ""
	}
	name := f.names[part[:dot]]
	if name == "" {
		name = ggufParts[part[:dot]]
	}
	if name == "" {
		return ""
	}
	return "blk." + layer + "." + name + part[dot:]
}

func attentionBiasField(k *ggufKeys, c hfConfig, dim int64) {
	c["attention_bias"] = k.has("blk.0.attn_q.bias")
}

func llamaFields(k *ggufKeys, c hfConfig, dim int64) {
	attentionBiasField(k, c, dim)
	c["mlp_bias"] = k.has("blk.0.ffn_gate.bias")
	if n := k.int("attention.sliding_window", 0); n > 0 { // Mistral's first models
		c["architectures"], c["model_type"] = []string{"MistralForCausalLM"}, "mistral"
		c["sliding_window"] = n
	}
	if expertFields(k, c) { // Mixtral
		c["architectures"], c["model_type"] = []string{"MixtralForCausalLM"}, "mixtral"
	}
}

// expertFields adds how many experts there are and how many a token uses; false where
// there are none.
func expertFields(k *ggufKeys, c hfConfig) bool {
	n := k.int("expert_count", 0)
	if n == 0 {
		return false
	}
	for _, other := range []struct {
		key  string
		only int64
		what string
	}{{"expert_gating_func", 1, "a softmax"}, {"expert_shared_count", 0, "no experts that all tokens use"}, {"expert_group_count", 1, "no groups"}} {
		if v := k.int(other.key, other.only); v != other.only && v != 0 && k.err == nil {
			k.err = unsupported("%s: metadata %q: found %d, expected %d (%s)", k.g.path, k.prefix+other.key, v, other.only, other.what)
		}
	}
	if v, _ := k.float("expert_weights_scale", "1").Float64(); v != 0 && v != 1 && k.err == nil {
		k.err = unsupported("%s: metadata %q: found %v, expected 1", k.g.path, k.prefix+"expert_weights_scale", v)
	}
	c["num_local_experts"], c["num_experts_per_tok"] = n, k.int("expert_used_count", -1)
	if width := k.int("expert_feed_forward_length", 0); width > 0 {
		c["intermediate_size"] = width
	}
	return true
}

// qwen3MoeFields: what llama.cpp runs has experts in all blocks, whose weights add up to
// 1 in each token.
func qwen3MoeFields(k *ggufKeys, c hfConfig, dim int64) {
	attentionBiasField(k, c, dim)
	expertFields(k, c)
	c["moe_intermediate_size"], c["norm_topk_prob"] = c["intermediate_size"], true
}

func olmoeFields(k *ggufKeys, c hfConfig, dim int64) {
	attentionBiasField(k, c, dim)
	expertFields(k, c)
	c["norm_topk_prob"] = false
}

// gemmaFields are the fields of Gemma 2 and 3. blocks is the number of blocks of the one
// model size whose attention is scaled by hidden_size/heads instead of the head's width.
func gemmaFields(k *ggufKeys, c hfConfig, dim, blocks int64) {
	c["hidden_activation"] = "gelu_pytorch_tanh"
	c["sliding_window"] = k.int("attention.sliding_window", 4096)
	c["query_pre_attn_scalar"] = dim
	if heads := c["num_attention_heads"].(int64); c["num_hidden_layers"] == blocks && heads > 0 {
		c["query_pre_attn_scalar"] = c["hidden_size"].(int64) / heads
	}
}

func gemma2Fields(k *ggufKeys, c hfConfig, dim int64) {
	gemmaFields(k, c, dim, 46)
	c["attn_logit_softcapping"] = k.float("attn_logit_softcapping", "50")
	c["final_logit_softcapping"] = k.float("final_logit_softcapping", "30")
}

func gemma3Fields(k *ggufKeys, c hfConfig, dim int64) {
	gemmaFields(k, c, dim, 62)
	c["sliding_window_pattern"] = k.int("attention.sliding_window_pattern", 6)
	c["rope_local_base_freq"] = k.float("rope.freq_base_swa", "10000")
	if cap := k.optional("final_logit_softcapping"); cap != "" {
		c["final_logit_softcapping"] = cap
	}
}

func phi3Fields(k *ggufKeys, c hfConfig, dim int64) {
	c["sliding_window"] = nil
	if n := k.int("attention.sliding_window", 0); n > 0 {
		c["sliding_window"] = n
	}
	if n := k.int("rope.scaling.original_context_length", 0); n > 0 {
		c["original_max_position_embeddings"] = n
	}
}

func graniteFields(k *ggufKeys, c hfConfig, dim int64) {
	llamaFields(k, c, dim)
	c["embedding_multiplier"] = k.float("embedding_scale", "1")
	c["residual_multiplier"] = k.float("residual_scale", "1")
	c["logits_scaling"] = k.float("logit_scale", "1")
	c.set("attention_multiplier", k.float("attention.scale", json.Number("1")))
}

func olmo2Fields(k *ggufKeys, c hfConfig, dim int64) {
	attentionBiasField(k, c, dim)
	if n := k.int("attention.sliding_window", 0); n > 0 && k.err == nil {
		k.err = unsupported("%s: olmo2.attention.sliding_window is %d (OLMo 3), expected OLMo 2, which has none", k.g.path, n)
	}
}
