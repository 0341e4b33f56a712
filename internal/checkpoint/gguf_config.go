package checkpoint

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/specquant/specquant/internal/plural"
)

// ggufKeys reads the metadata of one architecture and keeps the first error.
type ggufKeys struct {
	g      *GGUF
	prefix string
	err    error
}

// int returns a whole number, or def if the key is absent; a negative def makes the key
// required. If the value is a list with one element for each block, all must be equal.
func (k *ggufKeys) int(key string, def int64) int64 {
	v, ok := k.g.Metadata[k.prefix+key]
	if list, isList := v.([]int32); isList && len(list) > 0 {
		for i, n := range list {
			if n != list[0] && k.err == nil {
				k.err = unsupported("%s: metadata %q: %d in block 0 and %d in block %d; blocks that differ are not supported", k.g.path, k.prefix+key, list[0], n, i)
			}
		}
		v = list[0]
	}
	if !ok {
		if def < 0 && k.err == nil {
			k.err = malformed("%s: metadata %q is missing, and it is required", k.g.path, k.prefix+key)
		}
		return def
	}
	n, ok := asInt(v)
	if (!ok || n < 0) && k.err == nil {
		k.err = unsupported("%s: metadata %q: found %T %v, expected a whole number", k.g.path, k.prefix+key, v, v)
	}
	return n
}

// float returns the value as the shortest decimal number that reads back the same.
func (k *ggufKeys) float(key string, def json.Number) json.Number {
	v, ok := k.g.Metadata[k.prefix+key]
	f, bits := 0.0, 64
	switch x := v.(type) {
	case float32:
		f, bits = float64(x), 32
	case float64:
		f = x
	default:
		if ok && k.err == nil {
			k.err = malformed("%s: metadata %q: found %T %v, expected a float", k.g.path, k.prefix+key, v, v)
		} else if def == "" && k.err == nil {
			k.err = malformed("%s: metadata %q is missing, and it is required", k.g.path, k.prefix+key)
		}
		return def
	}
	if (math.IsNaN(f) || math.IsInf(f, 0)) && k.err == nil {
		k.err = malformed("%s: metadata %q: found %v, expected a finite number", k.g.path, k.prefix+key, f)
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, bits))
}

// optional is float for a key that may be absent, which gives "".
func (k *ggufKeys) optional(key string) json.Number {
	if _, ok := k.g.Metadata[k.prefix+key]; !ok {
		return ""
	}
	return k.float(key, "")
}

func (k *ggufKeys) has(tensor string) bool { return k.g.entries[tensor] != nil }

// hfConfig is the config.json of a GGUF file's model, in Hugging Face's terms.
type hfConfig map[string]any

// set adds a field unless v is empty.
func (c hfConfig) set(key string, v json.Number) {
	if v != "" {
		c[key] = v
	}
}

// config translates the metadata into a config.json and parses it, so that a GGUF file
// passes the same checks as a folder.
func (g *GGUF) config() ([]byte, Config, error) {
	arch, _ := g.Metadata["general.architecture"].(string)
	family := ggufFamilies[arch]
	if family == nil {
		return nil, Config{}, unsupported("%s: general.architecture is %q, expected one of %s", g.path, arch, ggufArchitectures())
	}
	k := &ggufKeys{g: g, prefix: arch + "."}
	c := hfConfig{
		"architectures":           []string{family.class},
		"model_type":              family.modelType,
		"hidden_size":             k.int("embedding_length", -1),
		"intermediate_size":       k.int("feed_forward_length", -1),
		"num_hidden_layers":       k.int("block_count", -1),
		"max_position_embeddings": k.int("context_length", -1),
		"rms_norm_eps":            k.float("attention.layer_norm_rms_epsilon", ""),
		"rope_theta":              k.float("rope.freq_base", "10000"),
		"tie_word_embeddings":     !k.has("output.weight"),
		"torch_dtype":             g.mainDType(),
		"bos_token_id":            nil,
		"eos_token_id":            nil,
	}
	heads := k.int("attention.head_count", -1)
	c["num_attention_heads"], c["num_key_value_heads"] = heads, k.int("attention.head_count_kv", heads)
	if n := k.int("expert_count", 0); n != 0 && !family.experts && k.err == nil {
		k.err = unsupported("%s: a mixture of %s of architecture %s, expected a dense model; %s", g.path, plural.Of(n, "expert"), arch, supportedText)
	}
	dim := k.int("attention.key_length", 0)
	if dim > 0 {
		c["head_dim"] = dim
	} else if heads > 0 {
		dim = c["hidden_size"].(int64) / heads
	}
	if v := k.int("attention.value_length", dim); v != dim && k.err == nil {
		k.err = unsupported("%s: attention.value_length is %d and key_length %d, expected the same", g.path, v, dim)
	}
	k.vocabulary(c)
	turned := k.int("rope.dimension_count", dim)
	if turned != dim && dim > 0 {
		c["partial_rotary_factor"] = float64(turned) / float64(dim)
	}
	if k.err == nil {
		c["rope_scaling"], k.err = g.ropeScaling(k, c["rope_theta"].(json.Number), turned)
	}
	if family.fields != nil {
		family.fields(k, c, dim)
	}
	if k.err != nil {
		return nil, Config{}, k.err
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, Config{}, err
	}
	data = append(data, '\n')
	cfg, err := ParseConfig(data, g.path+" (as config.json)")
	return data, cfg, err
}

// vocabulary sets the fields of the vocabulary's size and of the tokens that begin and end a text.
func (k *ggufKeys) vocabulary(c hfConfig) {
	size := int64(0)
	if e := k.g.entries["token_embd.weight"]; e != nil && len(e.shape) == 2 {
		size = int64(e.shape[0])
	}
	size = k.int("vocab_size", size)
	c["vocab_size"] = size
	if n, ok := asInt(k.g.Metadata["tokenizer.ggml.bos_token_id"]); ok && n >= 0 && n < size {
		c["bos_token_id"] = n
	}
	if ends := k.g.EndTokens(); len(ends) > 0 {
		c["eos_token_id"] = ends
	}
}

// EndTokens are the ids, below the vocabulary's size, that end a text or a turn: those
// named in the metadata, and the control tokens with which chat models are known to end
// their turns.
func (g *GGUF) EndTokens() []int {
	const prefix = "tokenizer.ggml."
	tokens, _ := g.Metadata[prefix+"tokens"].([]string)
	types, _ := g.Metadata[prefix+"token_type"].([]int32)
	var ends []int
	add := func(id int) {
		if len(ends) < maxEOS && !slices.Contains(ends, id) {
			ends = append(ends, id)
		}
	}
	for _, key := range []string{"eos_token_id", "eot_token_id", "eom_token_id"} {
		if n, ok := asInt(g.Metadata[prefix+key]); ok && n >= 0 && n < int64(len(tokens)) {
			add(int(n))
		}
	}
	for id := range min(len(tokens), len(types)) {
		if types[id] == controlToken && slices.Contains(EndTexts, tokens[id]) {
			add(id)
		}
	}
	return ends
}

// controlToken is the type of a token that is not text.
const controlToken = 3

// EndTexts are the tokens with which chat models end a turn or a text.
var EndTexts = []string{"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|end_of_text|>", "<|endoftext|>", "</s>"}

// mainDType is the torch name of the type that holds the most bytes.
func (g *GGUF) mainDType() string {
	bytes := map[DType]int64{}
	for _, e := range g.entries {
		bytes[e.dtype] += e.end - e.begin
	}
	switch {
	case bytes[F32] >= bytes[F16] && bytes[F32] >= bytes[BF16]:
		return "float32"
	case bytes[F16] >= bytes[BF16]:
		return "float16"
	}
	return "bfloat16"
}

// ropeScaling translates the file's scaling keys and factors. The llama3 kind is recovered
// from the divisors that llama.cpp's converter stores as rope_freqs.weight, longrope from
// its two tensors of factors. turned is the number of channels of a head that are rotated.
func (g *GGUF) ropeScaling(k *ggufKeys, theta json.Number, turned int64) (map[string]any, error) {
	kind, isSet := g.Metadata[k.prefix+"rope.scaling.type"].(string)
	if isSet && kind != "none" && kind != "linear" && kind != "yarn" && kind != "longrope" {
		return nil, unsupported("%s: %srope.scaling.type is %q, expected none, linear, yarn or longrope", g.path, k.prefix, kind)
	}
	if long := g.entries["rope_factors_long.weight"]; long != nil {
		return g.longRope(k, turned)
	}
	factor := k.float("rope.scaling.factor", k.float("rope.scale_linear", "0"))
	f, _ := factor.Float64()
	t, ok := g.Tensor("rope_freqs.weight")
	switch {
	case ok:
		return g.llama3Scaling(t, theta)
	case kind == "yarn":
		factor = k.float("rope.scaling.factor", "")
		s := map[string]any{"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": k.int("rope.scaling.original_context_length", -1)}
		for key, from := range map[string]string{"attention_factor": "rope.scaling.attn_factor", "beta_fast": "rope.scaling.yarn_beta_fast", "beta_slow": "rope.scaling.yarn_beta_slow"} {
			hfConfig(s).set(key, k.optional(from))
		}
		return s, k.err
	case kind == "none" || f == 0 || f == 1:
		return nil, k.err
	}
	return map[string]any{"rope_type": "linear", "factor": factor}, k.err
}

// vector reads a tensor of n float32 values.
func (g *GGUF) vector(name string, n int64) ([]float32, error) {
	t, ok := g.Tensor(name)
	if !ok {
		return nil, notFound("%s: tensor %q is missing, expected %s of F32", g.path, name, plural.Of(n, "value"))
	}
	if t.DType != F32 || len(t.Shape) != 1 || int64(t.Shape[0]) != n {
		return nil, unsupported("%s: tensor %s is %s %v, expected a vector of %s of F32", g.path, name, t.DType, t.Shape, plural.Of(n, "value"))
	}
	v := make([]float32, n)
	return v, t.Float32(v)
}

// longRope is the scaling for long contexts of Phi-3.
func (g *GGUF) longRope(k *ggufKeys, turned int64) (map[string]any, error) {
	if turned < 2 || turned > maxHeadDim {
		return nil, malformed("%s: %srope.dimension_count is %d, expected 2 to %d", g.path, k.prefix, turned, maxHeadDim)
	}
	long, err := g.vector("rope_factors_long.weight", turned/2)
	if err != nil {
		return nil, err
	}
	short, err := g.vector("rope_factors_short.weight", turned/2)
	if err != nil {
		return nil, err
	}
	s := map[string]any{"rope_type": "longrope", "long_factor": long, "short_factor": short,
		"original_max_position_embeddings": k.int("rope.scaling.original_context_length", -1)}
	hfConfig(s).set("attention_factor", k.optional("rope.scaling.attn_factor"))
	return s, k.err
}

// llama3Scaling finds the parameters that give the divisors in t.
func (g *GGUF) llama3Scaling(t Tensor, theta json.Number) (map[string]any, error) {
	if t.DType != F32 || len(t.Shape) != 1 || t.Elems() > maxHeadDim {
		return nil, unsupported("%s: tensor rope_freqs.weight is %s %v, expected a vector of F32", g.path, t.DType, t.Shape)
	}
	div := make([]float32, t.Elems())
	if err := t.Float32(div); err != nil {
		return nil, err
	}
	base, err := theta.Float64()
	if err != nil {
		return nil, err
	}
	s := RopeScaling{Kind: "llama3", Factor: float64(slices.Max(div)), LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositions: 8192}
	if s.Factor == 1 && slices.Min(div) == 1 {
		return nil, nil
	}
	for i, got := range div {
		if want := s.llama3Divisor(i, len(div), base); math.Abs(float64(got)-want) > 1e-4*want {
			return nil, unsupported("%s: tensor rope_freqs.weight: element %d is %v, expected %v for Llama 3 scaling by %v; other frequency factors cannot be expressed", g.path, i, got, want, s.Factor)
		}
	}
	return map[string]any{"rope_type": s.Kind, "factor": s.Factor, "low_freq_factor": s.LowFreqFactor,
		"high_freq_factor": s.HighFreqFactor, "original_max_position_embeddings": s.OriginalMaxPositions}, nil
}

// llama3Divisor is the number by which the llama3 kind divides the i-th of half frequencies
// base^(-i/half) (transformers, modeling_rope_utils).
func (s RopeScaling) llama3Divisor(i, half int, base float64) float64 {
	wavelen := 2 * math.Pi * math.Pow(base, float64(i)/float64(half))
	orig := float64(s.OriginalMaxPositions)
	switch {
	case wavelen < orig/s.HighFreqFactor:
		return 1
	case wavelen > orig/s.LowFreqFactor:
		return s.Factor
	}
	smooth := (orig/wavelen - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	return 1 / ((1-smooth)/s.Factor + smooth)
}
