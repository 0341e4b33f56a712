package checkpoint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// Limits on a config: above those of any model of these families, but small enough that no
// product of a few of them overflows or causes a giant allocation.
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
	ModelType    string // such as llama

	HiddenSize       int
	IntermediateSize int // of the feed-forward block, or of each expert; see Of
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
	SlidingWindow int  // attention span in tokens, 0 for all; see Window
	Parts              // what the blocks are made of beyond that

	BOS        int   // token id, -1 for none
	EOS        []int // token ids that end a text
	TorchDType string

	Quantization json.RawMessage // quantization_config as found, nil for none
	Raw          []byte          // the whole file
}

// ParseConfig reads a config.json. file is its name for errors, each of which names the
// field. An architecture, activation or rope scaling that is not implemented is
// ErrUnsupported and named; unknown other fields are ignored; absent fields have the
// defaults of Hugging Face transformers, except for the dimensions and the norm's epsilon,
// which are required.
func ParseConfig(data []byte, file string) (Config, error) {
	f := newFields(data, file)
	c := Config{Raw: data, BOS: -1}
	var of *family
	if c.Architecture, c.ModelType, of = architecture(f); f.err != nil {
		return Config{}, f.err
	}
	c.Parts = of.parts
	f.require("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "rms_norm_eps")
	c.HiddenSize = f.intOr("hidden_size", 0, 1, maxHidden)
	c.IntermediateSize = f.intOr("intermediate_size", 0, 1, maxIntermediate)
	c.Layers = f.intOr("num_hidden_layers", 0, 1, maxLayers)
	c.Heads = f.intOr("num_attention_heads", 0, 1, maxHeads)
	c.KVHeads = f.intOr("num_key_value_heads", c.Heads, 1, maxHeads)
	c.VocabSize = f.intOr("vocab_size", 0, 1, maxVocab)
	// The first LLaMA conversions used the name max_sequence_length.
	positions := f.intOr("max_sequence_length", of.positions, 1, maxPositions)
	c.MaxPositions = f.intOr("max_position_embeddings", positions, 1, maxPositions)
	c.NormEps = f.floatOr("rms_norm_eps", 0, 1e-15, 1)
	headDim(f, &c, of.headDim)

	c.RopeTheta = f.floatOr("rope_theta", of.theta, 1, 1e15)
	rope(f, &c, of)

	c.TieEmbeddings = f.boolOr("tie_word_embeddings", of.tied)
	if of.parts.Activation == SiLU {
		activation(f, &c, "hidden_act")
	}
	for _, read := range of.read {
		if f.err == nil {
			read(f, &c)
		}
	}
	if f.err == nil {
		c.tidyWindow()
	}
	if f.boolOr("rope_interleaved", false) && f.err == nil {
		f.err = unsupported("%s: field \"rope_interleaved\": found true, only false is implemented", file)
	}

	if bos := f.tokens("bos_token_id", of.bos, c.VocabSize); len(bos) > 0 {
		c.BOS = bos[0]
	}
	c.EOS = f.tokens("eos_token_id", of.eos, c.VocabSize)
	c.TorchDType = f.stringOr("torch_dtype", f.stringOr("dtype", ""))
	c.Quantization = f.raw("quantization_config")
	if f.err != nil {
		return Config{}, f.err
	}
	if c.Quantization != nil { // the gains are stored as they are used, the projections apart, all under one set of names
		c.NormOffset, c.Fused, c.Experts.Numbered = 0, false, false
	}
	return c, nil
}

// headDim sets HeadDim and checks that the numbers of heads are divisible; def is the
// family's default if the config has no head_dim, 0 for hidden_size/heads.
func headDim(f *fields, c *Config, def int) {
	c.HeadDim = f.intOr("head_dim", def, 1, maxHeadDim)
	if f.err != nil {
		return
	}
	if c.HeadDim == 0 {
		if c.HiddenSize%c.Heads != 0 {
			f.failf("num_attention_heads", "%s do not divide hidden_size %d, and head_dim is not given", plural.Of(c.Heads, "head"), c.HiddenSize)
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
		f.failf("num_key_value_heads", "%s do not divide %s", plural.Of(c.KVHeads, "key/value head"), plural.Of(c.Heads, "head"))
	case c.Heads*c.HeadDim > maxIntermediate:
		f.failf("head_dim", "%d × %d (heads × head_dim) are %d, expected at most %s", c.Heads, c.HeadDim, c.Heads*c.HeadDim, plural.Of(maxIntermediate, "row"))
	}
}

// withGeneration takes the end tokens from a generation_config.json, which describes how
// the model should be run: chat models end a turn with a different token than a text.
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

// QuantMethod is the quant_method of the quantization_config: "" if the model is not
// quantized, "unknown" if the method is not named.
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

// ExpectedTensor is a tensor that a model with this Config must have.
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

// Expected lists every tensor of the model with its shape, in the order of computation:
// embedding, blocks, final norm, and the output head unless it is tied to the embedding.
// The parts of fused projections are listed separately, as [Checkpoint.Tensor] returns
// them.
func (c Config) Expected() []ExpectedTensor {
	var out []ExpectedTensor
	add := func(name string, shape ...int) { out = append(out, ExpectedTensor{name, shape}) }
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	add(embedName, c.VocabSize, c.HiddenSize)
	for i := range c.Layers {
		p := fmt.Sprintf("%s%d.", blockPrefix, i)
		norm := func(n Norm) {
			if c.HasNorm(n) {
				add(p+c.NormName(n)+".weight", c.NormWidth(n))
			}
		}
		linear := func(name string, rows, cols int, bias bool) {
			add(p+name+".weight", rows, cols)
			if bias {
				add(p+name+".bias", rows)
			}
		}
		norm(AttnNorm)
		linear("self_attn.q_proj", q, c.HiddenSize, c.QKVBias)
		linear("self_attn.k_proj", kv, c.HiddenSize, c.QKVBias)
		linear("self_attn.v_proj", kv, c.HiddenSize, c.QKVBias)
		norm(QNorm)
		norm(KNorm)
		linear("self_attn.o_proj", c.HiddenSize, q, c.OBias)
		norm(AttnPost)
		norm(MLPNorm)
		of := c.Of(i)
		mlp := func(prefix string) {
			linear(prefix+"gate_proj", of.IntermediateSize, c.HiddenSize, c.MLPBias)
			linear(prefix+"up_proj", of.IntermediateSize, c.HiddenSize, c.MLPBias)
			linear(prefix+"down_proj", c.HiddenSize, of.IntermediateSize, c.MLPBias)
		}
		if of.Experts.Count == 0 {
			mlp(ExpertPrefix(-1))
		} else {
			linear(Router, of.Experts.Count, c.HiddenSize, false)
		}
		for e := range of.Experts.Count {
			mlp(ExpertPrefix(e))
		}
		norm(MLPPost)
	}
	add(normName, c.HiddenSize)
	if !c.TieEmbeddings {
		add(headName, c.VocabSize, c.HiddenSize)
	}
	return out
}

// alters reports whether a tensor that the config does not expect would change the model's
// result: a weight or bias of a block or of the head. Others, such as rotary_emb.inv_freq,
// are derived or belong to other tools.
func (c Config) alters(name string) bool {
	if name == "lm_head.bias" || name == "model.norm.bias" {
		return true
	}
	rest, ok := strings.CutPrefix(name, "model.layers.")
	if !ok {
		return false
	}
	num, rest, _ := strings.Cut(rest, ".")
	inModel := slices.ContainsFunc([]string{"self_attn.", "mlp.", "input_layernorm.", "post_attention_layernorm.", "pre_feedforward_layernorm.", "post_feedforward_layernorm."},
		func(p string) bool { return strings.HasPrefix(rest, p) })
	layer, err := strconv.Atoi(num)
	if err != nil || layer < 0 || layer >= c.Layers || !inModel {
		return false
	}
	return strings.HasSuffix(rest, ".weight") || strings.HasSuffix(rest, ".bias")
}
