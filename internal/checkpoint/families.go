package checkpoint

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// family is how config.json is interpreted for one kind of architecture.
type family struct {
	class  string   // in "architectures"
	types  []string // "model_type"; the first stands for a config.json without one
	models string   // that are of the kind, for people

	parts Parts // that all models of the family have

	// Defaults if config.json has no such field, as in Hugging Face transformers.
	positions int
	theta     float64
	tied      bool
	bos, eos  int // -1: none
	headDim   int // 0: hidden_size/heads

	partial bool // partial_rotary_factor is used
	read    []func(f *fields, c *Config)
}

// families are the supported architectures. A new one that is composed of existing parts
// needs an entry here, a golden file and a line in docs/ARCHITECTURES.md.
var families = []family{
	{class: "LlamaForCausalLM", types: []string{"llama"}, models: "LLaMA 1 to 3.2, SmolLM2",
		positions: 2048, theta: 10000, bos: 1, eos: 2, read: []func(*fields, *Config){attentionBias, mlpBias}},
	{class: "MistralForCausalLM", types: []string{"mistral"}, models: "Mistral, Ministral 8B",
		positions: 32 * 4096, theta: 10000, bos: 1, eos: 2, read: []func(*fields, *Config){windowOfAll(4096)}},
	{class: "MinistralForCausalLM", types: []string{"ministral"}, models: "Ministral",
		positions: 32 * 4096, theta: 10000, bos: 1, eos: 2, read: []func(*fields, *Config){windowOfAll(4096), layerTypes}},
	{class: "Qwen2ForCausalLM", types: []string{"qwen2"}, models: "Qwen2, Qwen2.5",
		parts: Parts{QKVBias: true}, positions: 32768, theta: 10000, bos: -1, eos: -1, read: []func(*fields, *Config){windowOfLast, layerTypes}},
	{class: "Qwen3ForCausalLM", types: []string{"qwen3"}, models: "Qwen3",
		parts: Parts{QKNorm: QKHead}, positions: 32768, theta: 10000, bos: -1, eos: -1, headDim: 128, read: []func(*fields, *Config){attentionBias, windowOfLast, layerTypes}},
	{class: "Gemma2ForCausalLM", types: []string{"gemma2"}, models: "Gemma 2",
		parts: Parts{Activation: GELUTanh, PostNorm: true, NormOffset: 1}, positions: 8192, theta: 10000, tied: true, bos: 2, eos: 1, headDim: 256,
		read: []func(*fields, *Config){attentionBias, gemma, everyFull("", 2), layerTypes, softCaps(50, 30)}},
	{class: "Gemma3ForCausalLM", types: []string{"gemma3_text"}, models: "Gemma 3 (text)",
		parts: Parts{Activation: GELUTanh, PostNorm: true, NormOffset: 1, QKNorm: QKHead}, positions: 131072, theta: 1e6, tied: true, bos: 2, eos: 1, headDim: 256,
		read: []func(*fields, *Config){attentionBias, gemma, everyFull("sliding_window_pattern", 6), layerTypes, softCaps(0, 0), localTheta}},
	{class: "Phi3ForCausalLM", types: []string{"phi3"}, models: "Phi-3, Phi-4-mini",
		parts: Parts{Fused: true}, positions: 4096, theta: 10000, bos: 1, eos: 32000, partial: true, read: []func(*fields, *Config){windowOfAll(0)}},
	{class: "GraniteForCausalLM", types: []string{"granite"}, models: "Granite 3",
		positions: 2048, theta: 10000, bos: 1, eos: 2, read: []func(*fields, *Config){attentionBias, mlpBias, multipliers}},
	{class: "Olmo2ForCausalLM", types: []string{"olmo2"}, models: "OLMo 2",
		parts: Parts{NoPreNorm: true, PostNorm: true, QKNorm: QKWhole}, positions: 2048, theta: 10000, bos: -1, eos: 50279, read: []func(*fields, *Config){attentionBias}},
	{class: "MixtralForCausalLM", types: []string{"mixtral"}, models: "Mixtral",
		parts: Parts{Experts: Experts{Normed: true, Numbered: true}}, positions: 32 * 4096, theta: 1e6, bos: 1, eos: 2, read: []func(*fields, *Config){windowOfAll(0), experts(8, 2)}},
	{class: "Qwen3MoeForCausalLM", types: []string{"qwen3_moe"}, models: "Qwen3 with experts",
		parts: Parts{QKNorm: QKHead}, positions: 32768, theta: 10000, bos: -1, eos: -1,
		read: []func(*fields, *Config){attentionBias, windowOfLast, layerTypes, experts(128, 8), normedTopK, sparseBlocks}},
	{class: "OlmoeForCausalLM", types: []string{"olmoe"}, models: "OLMoE",
		parts: Parts{QKNorm: QKWhole}, positions: 4096, theta: 10000, bos: -1, eos: 50279, read: []func(*fields, *Config){attentionBias, noClip, experts(64, 8), normedTopK}},
	{class: "SmolLM3ForCausalLM", types: []string{"smollm3"}, models: "SmolLM3",
		positions: 32768, theta: 2e6, tied: true, bos: 128000, eos: 128001, read: []func(*fields, *Config){attentionBias, mlpBias, noRope, layerTypes}},
}

// familyOf is the family of a class or, if that is "", of a model type; nil if unknown.
func familyOf(class, modelType string) *family {
	for i := range families {
		f := &families[i]
		if class == f.class || class == "" && slices.Contains(f.types, modelType) {
			return f
		}
	}
	return nil
}

// supportedText lists what is supported, for errors that refuse anything else.
var supportedText = func() string {
	var names []string
	for _, f := range families {
		names = append(names, f.class+" ("+f.models+")")
	}
	last := len(names) - 1
	return "supported are " + strings.Join(names[:last], ", ") + " and " + names[last]
}()

// architecture determines the model's family, or returns an error that names what is
// unsupported.
func architecture(f *fields) (class, modelType string, of *family) {
	if f.err != nil {
		return "", "", nil
	}
	modelType = f.stringOr("model_type", "")
	if r := f.raw("architectures"); r != nil {
		var list []string
		if json.Unmarshal(r, &list) != nil || len(list) == 0 {
			f.failf("architectures", "found %s, expected a list of class names", brief(r))
			return "", "", nil
		}
		class = list[0]
		if of = familyOf(class, ""); class == "" || of == nil {
			f.err = unsupported("%s: architecture %q is not supported; %s", f.where, class, supportedText)
			return "", "", nil
		}
	} else if of = familyOf("", modelType); of == nil {
		if modelType == "" {
			f.failf("architectures", "missing, and so is model_type; %s", supportedText)
		} else if f.err == nil {
			f.err = unsupported("%s: model_type %q is not supported; %s", f.where, modelType, supportedText)
		}
		return "", "", nil
	}
	if modelType == "" {
		modelType = of.types[0]
	}
	if f.err == nil && !slices.Contains(of.types, modelType) {
		f.err = unsupported("%s: model_type %q does not go with architecture %q, expected %q", f.where, modelType, of.class, of.types[0])
	}
	return of.class, modelType, of
}

// activation sets Activation from the field.
func activation(f *fields, c *Config, key string) {
	def := "silu"
	if c.Activation == GELUTanh {
		def = "gelu_pytorch_tanh"
	}
	switch act := f.stringOr(key, def); act {
	case "silu", "swish":
		c.Activation = SiLU
	case "gelu_pytorch_tanh", "gelu_new":
		c.Activation = GELUTanh
	default:
		if f.err == nil {
			f.err = unsupported("%s: field %q: found %q, expected \"silu\" or \"gelu_pytorch_tanh\"", f.where, key, act)
		}
	}
}

func attentionBias(f *fields, c *Config) {
	c.QKVBias = f.boolOr("attention_bias", false)
	c.OBias = c.QKVBias
}

func mlpBias(f *fields, c *Config) { c.MLPBias = f.boolOr("mlp_bias", false) }

// windowOrNull is the field sliding_window: null means none, absence the default.
func windowOrNull(f *fields, def int) int {
	if r, ok := f.m["sliding_window"]; ok && string(r) == "null" {
		return 0
	}
	return f.intOr("sliding_window", def, 0, maxPositions)
}

// windowOfAll reads a window that applies to all blocks.
func windowOfAll(def int) func(*fields, *Config) {
	return func(f *fields, c *Config) { c.SlidingWindow = windowOrNull(f, def) }
}

// windowOfLast reads a window that applies to the blocks from max_window_layers on, if
// use_sliding_window is true.
func windowOfLast(f *fields, c *Config) {
	window := windowOrNull(f, 4096)
	first := f.intOr("max_window_layers", 28, 0, maxLayers)
	if !f.boolOr("use_sliding_window", false) || f.err != nil {
		return
	}
	c.SlidingWindow, c.Full = window, make([]bool, c.Layers)
	for i := range min(first, c.Layers) {
		c.Full[i] = true
	}
}

// everyFull reads a window that applies to all blocks except every n-th, where n is the
// value of the field or, if it is absent or key is "", the default.
func everyFull(key string, n int) func(*fields, *Config) {
	return func(f *fields, c *Config) {
		f.require("sliding_window")
		c.SlidingWindow = f.intOr("sliding_window", 0, 1, maxPositions)
		every := n
		if key != "" {
			every = f.intOr(key, n, 1, maxLayers)
		}
		if f.err != nil {
			return
		}
		c.Full = make([]bool, c.Layers)
		for i := range c.Full {
			c.Full[i] = (i+1)%every == 0
		}
	}
}

// layerTypes reads which blocks have the window, if the config lists them.
func layerTypes(f *fields, c *Config) {
	r := f.raw("layer_types")
	if r == nil {
		return
	}
	var kinds []string
	if json.Unmarshal(r, &kinds) != nil || len(kinds) != c.Layers {
		f.failf("layer_types", "found %s, expected a list of %s, one for each block", brief(r), plural.Of(c.Layers, "string"))
		return
	}
	c.Full = make([]bool, c.Layers)
	for i, kind := range kinds {
		switch kind {
		case "full_attention":
			c.Full[i] = true
		case "sliding_attention":
			if c.SlidingWindow == 0 {
				f.failf("layer_types", "block %d is %q, but the model has no sliding window; expected \"full_attention\", or sliding_window and, in models that have it, use_sliding_window: true", i, kind)
				return
			}
		default:
			f.err = unsupported("%s: field \"layer_types\": block %d is %q, expected \"full_attention\" or \"sliding_attention\"", f.where, i, kind)
			return
		}
	}
}

// tidyWindow normalizes a window that applies to all blocks or to none.
func (c *Config) tidyWindow() {
	if c.SlidingWindow == 0 || c.Full != nil && !slices.Contains(c.Full, false) {
		c.SlidingWindow, c.Full = 0, nil
	}
	if !slices.Contains(c.Full, true) {
		c.Full = nil
	}
}

// gemma reads the fields that Gemma's files name differently, and its scales: embeddings
// are multiplied by √hidden_size, attention scores by 1/√query_pre_attn_scalar.
func gemma(f *fields, c *Config) {
	activation(f, c, "hidden_activation")
	c.EmbedScale = math.Sqrt(float64(c.HiddenSize))
	c.AttnScale = 1 / math.Sqrt(f.floatOr("query_pre_attn_scalar", 256, 1e-3, 1e9))
	if f.boolOr("use_bidirectional_attention", false) && f.err == nil {
		f.err = unsupported("%s: field \"use_bidirectional_attention\": found true, only causal attention is implemented", f.where)
	}
}

// softCaps reads the soft caps of attention scores and logits, with these defaults; 0 means
// none.
func softCaps(attn, logits float64) func(*fields, *Config) {
	limit := func(f *fields, key string, def float64) float64 {
		if r, ok := f.m[key]; ok && string(r) == "null" {
			return 0
		}
		v := f.floatOr(key, def, 0, 1e9)
		if v > 0 && v < 1e-3 {
			f.failf(key, "found %v, expected at least 0.001, or null for none", v)
		}
		return v
	}
	return func(f *fields, c *Config) {
		c.AttnSoftCap = limit(f, "attn_logit_softcapping", attn)
		c.LogitSoftCap = limit(f, "final_logit_softcapping", logits)
	}
}

// localTheta reads the rotary base of the blocks with a window. Transformers 5 stores it
// inside rope_parameters, in one object for each kind of block (see rope).
func localTheta(f *fields, c *Config) {
	if c.LocalTheta == 0 {
		c.LocalTheta = f.floatOr("rope_local_base_freq", 10000, 1, 1e15)
	}
}

// multipliers reads Granite's scale factors.
func multipliers(f *fields, c *Config) {
	scale := func(key string) float64 { return f.floatOr(key, 1, 1e-6, 1e6) }
	c.EmbedScale = scale("embedding_multiplier")
	c.ResidualScale = scale("residual_multiplier")
	c.AttnScale = scale("attention_multiplier")
	c.LogitScale = 1 / scale("logits_scaling")
}

// noRope reads which of SmolLM3's blocks do not rotate queries and keys: without a list,
// every no_rope_layer_interval-th block (in the list, 1 means that the block rotates). It
// also reads the window, which applies to the blocks without rotation.
func noRope(f *fields, c *Config) {
	every := f.intOr("no_rope_layer_interval", 4, 1, maxLayers)
	if f.err != nil {
		return
	}
	c.NoRope = make([]bool, c.Layers)
	if r := f.raw("no_rope_layers"); r != nil {
		list, err := intList(r, maxLayers)
		if err != nil || len(list) != c.Layers {
			f.failf("no_rope_layers", "found %s, expected a list of %s 0 or 1, one for each block", brief(r), plural.Of(c.Layers, "number"))
			return
		}
		for i, v := range list {
			if v != 0 && v != 1 {
				f.failf("no_rope_layers", "block %d is %d, expected 0 (no rotary embedding) or 1 (rotary embedding)", i, v)
				return
			}
			c.NoRope[i] = v == 0
		}
	} else {
		for i := range c.NoRope {
			c.NoRope[i] = (i+1)%every == 0
		}
	}
	if !slices.Contains(c.NoRope, true) {
		c.NoRope = nil
	}
	window := windowOrNull(f, 0)
	if f.boolOr("use_sliding_window", false) && f.err == nil {
		c.SlidingWindow, c.Full = window, make([]bool, c.Layers)
		for i := range c.Full {
			c.Full[i] = c.Turned(i)
		}
	}
}
