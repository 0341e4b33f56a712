package checkpoint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits on a config: beyond what any model of the family has, small enough
// that no product of a few of them overflows or decides a giant allocation.
const (
	maxHidden       = 65536
	maxIntermediate = 1 << 20
	maxLayers       = 1024
	maxHeads        = 4096
	maxHeadDim      = 1024
	maxVocab        = 4 << 20
	maxPositions    = 1 << 27
	maxEOS          = 256
)

// Config is a model's config.json: the architecture's dimensions and the
// constants of its formulas.
type Config struct {
	Architecture string // class name, such as LlamaForCausalLM
	ModelType    string // llama or mistral

	HiddenSize       int
	IntermediateSize int // of the feed-forward block
	Layers           int
	Heads            int // query heads
	KVHeads          int // key and value heads; divides Heads
	HeadDim          int // even; usually HiddenSize/Heads
	VocabSize        int
	MaxPositions     int // context length, in tokens

	NormEps     float64      // of RMSNorm
	RopeTheta   float64      // base of the rotary frequencies
	RopeScaling *RopeScaling // nil for none

	TieEmbeddings bool // the output head is the embedding
	AttentionBias bool // on q, k, v and o
	MLPBias       bool // on gate, up and down
	SlidingWindow int  // attention span in tokens, 0 for all

	BOS        int   // token id, -1 for none
	EOS        []int // token ids that end a text
	TorchDType string

	Quantization json.RawMessage // quantization_config as found, nil for none
	Raw          []byte          // the whole file
}

// supported maps the architectures that are implemented to their model types.
var supported = map[string]string{
	"LlamaForCausalLM":   "llama",
	"MistralForCausalLM": "mistral",
}

// supportedText says what can be read, for the errors that refuse the rest.
const supportedText = "supported are LlamaForCausalLM (LLaMA 1, 2, 3, 3.1, 3.2, SmolLM2 and alike) and MistralForCausalLM"

// ParseConfig reads a config.json. file is its name for errors, each of which
// names the field. An architecture, activation or rope scaling that is not
// implemented is ErrUnsupported by name; unknown further fields are ignored;
// absent fields have the defaults of Hugging Face transformers, except for the
// dimensions and the norm's epsilon, which are required.
func ParseConfig(data []byte, file string) (Config, error) {
	f := newFields(data, file)
	c := Config{Raw: data, BOS: -1}
	c.Architecture, c.ModelType = architecture(f)
	f.require("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "rms_norm_eps")
	mistral := c.ModelType == "mistral"

	c.HiddenSize = f.intOr("hidden_size", 0, 1, maxHidden)
	c.IntermediateSize = f.intOr("intermediate_size", 0, 1, maxIntermediate)
	c.Layers = f.intOr("num_hidden_layers", 0, 1, maxLayers)
	c.Heads = f.intOr("num_attention_heads", 0, 1, maxHeads)
	c.KVHeads = f.intOr("num_key_value_heads", c.Heads, 1, maxHeads)
	c.VocabSize = f.intOr("vocab_size", 0, 1, maxVocab)
	positions := 2048
	if mistral {
		positions = 32 * 4096
	}
	// The first LLaMA conversions wrote max_sequence_length.
	positions = f.intOr("max_sequence_length", positions, 1, maxPositions)
	c.MaxPositions = f.intOr("max_position_embeddings", positions, 1, maxPositions)
	c.NormEps = f.floatOr("rms_norm_eps", 0, 1e-15, 1)
	headDim(f, &c)

	c.RopeTheta = f.floatOr("rope_theta", 10000, 1, 1e15)
	rope(f, &c)

	c.TieEmbeddings = f.boolOr("tie_word_embeddings", false)
	if mistral {
		c.SlidingWindow = f.intOr("sliding_window", 4096, 0, maxPositions)
		if r, ok := f.m["sliding_window"]; ok && string(r) == "null" {
			c.SlidingWindow = 0
		}
	} else {
		c.AttentionBias = f.boolOr("attention_bias", false)
		c.MLPBias = f.boolOr("mlp_bias", false)
	}
	if act := f.stringOr("hidden_act", "silu"); f.err == nil && act != "silu" && act != "swish" {
		f.err = unsupported("%s: field \"hidden_act\": found %q, expected \"silu\"; %s", file, act, supportedText)
	}
	if f.boolOr("rope_interleaved", false) && f.err == nil {
		f.err = unsupported("%s: field \"rope_interleaved\": found true, only false is implemented", file)
	}
	if p := f.floatOr("partial_rotary_factor", 1, 0, 1); f.err == nil && p != 1 {
		f.err = unsupported("%s: field \"partial_rotary_factor\": found %v, only 1 is implemented", file, p)
	}

	if bos := f.tokens("bos_token_id", 1, c.VocabSize); len(bos) > 0 {
		c.BOS = bos[0]
	}
	c.EOS = f.tokens("eos_token_id", 2, c.VocabSize)
	c.TorchDType = f.stringOr("torch_dtype", f.stringOr("dtype", ""))
	c.Quantization = f.raw("quantization_config")
	if f.err != nil {
		return Config{}, f.err
	}
	return c, nil
}

// architecture finds what the model is, or refuses it by name.
func architecture(f *fields) (arch, modelType string) {
	if f.err != nil {
		return "", ""
	}
	modelType = f.stringOr("model_type", "")
	if r := f.raw("architectures"); r != nil {
		var list []string
		if json.Unmarshal(r, &list) != nil || len(list) == 0 {
			f.failf("architectures", "found %s, expected a list of class names", brief(r))
			return "", ""
		}
		arch = list[0]
		if supported[arch] == "" {
			f.err = unsupported("%s: architecture %q is not supported; %s", f.where, arch, supportedText)
			return "", ""
		}
	} else {
		for a, m := range supported {
			if m == modelType {
				arch = a
			}
		}
		if arch == "" && f.err == nil {
			if modelType == "" {
				f.failf("architectures", "missing, and so is model_type; %s", supportedText)
			} else {
				f.err = unsupported("%s: model_type %q is not supported; %s", f.where, modelType, supportedText)
			}
			return "", ""
		}
	}
	if modelType == "" {
		modelType = supported[arch]
	}
	if f.err == nil && modelType != supported[arch] {
		f.err = unsupported("%s: model_type %q does not go with architecture %q, expected %q", f.where, modelType, arch, supported[arch])
	}
	return arch, modelType
}

// headDim fills HeadDim and checks how the heads divide.
func headDim(f *fields, c *Config) {
	c.HeadDim = f.intOr("head_dim", 0, 1, maxHeadDim)
	if f.err != nil {
		return
	}
	if c.HeadDim == 0 {
		if c.HiddenSize%c.Heads != 0 {
			f.failf("num_attention_heads", "%d heads do not divide hidden_size %d, and head_dim is not given", c.Heads, c.HiddenSize)
			return
		}
		c.HeadDim = c.HiddenSize / c.Heads
	}
	switch {
	case c.HeadDim%2 != 0:
		f.failf("head_dim", "is %d, expected an even number for rotary embedding", c.HeadDim)
	case c.HeadDim > maxHeadDim:
		f.failf("head_dim", "is %d, expected at most %d", c.HeadDim, maxHeadDim)
	case c.Heads%c.KVHeads != 0:
		f.failf("num_key_value_heads", "%d key/value heads do not divide %d heads", c.KVHeads, c.Heads)
	case c.Heads*c.HeadDim > maxIntermediate:
		f.failf("head_dim", "%d heads of %d are %d rows, expected at most %d", c.Heads, c.HeadDim, c.Heads*c.HeadDim, maxIntermediate)
	}
}

// withGeneration takes the end tokens of a generation_config.json, which say
// how the model is meant to be run: chat models end a turn with another token
// than a text.
func (c *Config) withGeneration(data []byte, file string) error {
	f := newFields(data, file)
	eos := f.tokens("eos_token_id", -1, c.VocabSize)
	bos := f.tokens("bos_token_id", -1, c.VocabSize)
	if f.err != nil {
		return f.err
	}
	if len(eos) > 0 {
		c.EOS = eos
	}
	if c.BOS < 0 && len(bos) > 0 {
		c.BOS = bos[0]
	}
	return nil
}

// QuantMethod is the quant_method of the quantization_config: "" where the
// model is not quantized, "unknown" where the method is not named.
func (c Config) QuantMethod() string {
	if c.Quantization == nil {
		return ""
	}
	var q struct {
		Method string `json:"quant_method"`
	}
	if json.Unmarshal(c.Quantization, &q) != nil || q.Method == "" {
		return "unknown"
	}
	return q.Method
}

// ExpectedTensor is a tensor that a model of some Config must have.
type ExpectedTensor struct {
	Name  string
	Shape []int // [out, in] for a linear layer
}

// Names of the tensors outside the blocks.
const (
	embedName = "model.embed_tokens.weight"
	headName  = "lm_head.weight"
	normName  = "model.norm.weight"
)

// Expected lists every tensor of the model with its shape, in the order of
// computation: embedding, blocks, final norm, and the output head unless it is
// tied to the embedding.
func (c Config) Expected() []ExpectedTensor {
	var out []ExpectedTensor
	add := func(name string, shape ...int) { out = append(out, ExpectedTensor{name, shape}) }
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	add(embedName, c.VocabSize, c.HiddenSize)
	for i := range c.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		linear := func(name string, rows, cols int, bias bool) {
			add(p+name+".weight", rows, cols)
			if bias {
				add(p+name+".bias", rows)
			}
		}
		add(p+"input_layernorm.weight", c.HiddenSize)
		linear("self_attn.q_proj", q, c.HiddenSize, c.AttentionBias)
		linear("self_attn.k_proj", kv, c.HiddenSize, c.AttentionBias)
		linear("self_attn.v_proj", kv, c.HiddenSize, c.AttentionBias)
		linear("self_attn.o_proj", c.HiddenSize, q, c.AttentionBias)
		add(p+"post_attention_layernorm.weight", c.HiddenSize)
		linear("mlp.gate_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias)
		linear("mlp.up_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias)
		linear("mlp.down_proj", c.HiddenSize, c.IntermediateSize, c.MLPBias)
	}
	add(normName, c.HiddenSize)
	if !c.TieEmbeddings {
		add(headName, c.VocabSize, c.HiddenSize)
	}
	return out
}

// alters reports whether a tensor that the config does not expect would change
// the model's result: a weight or bias of one of its blocks, or of its head.
// Others, such as rotary_emb.inv_freq, are derived or belong to other tools.
func (c Config) alters(name string) bool {
	if name == "lm_head.bias" || name == "model.norm.bias" {
		return true
	}
	rest, ok := strings.CutPrefix(name, "model.layers.")
	if !ok {
		return false
	}
	num, rest, _ := strings.Cut(rest, ".")
	inModel := slices.ContainsFunc([]string{"self_attn.", "mlp.", "input_layernorm.", "post_attention_layernorm."},
		func(p string) bool { return strings.HasPrefix(rest, p) })
	layer, err := strconv.Atoi(num)
	if err != nil || layer < 0 || layer >= c.Layers || !inModel {
		return false
	}
	return strings.HasSuffix(rest, ".weight") || strings.HasSuffix(rest, ".bias")
}
