package checkpoint

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// hfConfig is the config.json that an import writes.
type hfConfig struct {
	Architectures    []string       `json:"architectures"`
	ModelType        string         `json:"model_type"`
	HiddenSize       int64          `json:"hidden_size"`
	IntermediateSize int64          `json:"intermediate_size"`
	Layers           int64          `json:"num_hidden_layers"`
	Heads            int64          `json:"num_attention_heads"`
	KVHeads          int64          `json:"num_key_value_heads"`
	HeadDim          int64          `json:"head_dim,omitempty"`
	VocabSize        int64          `json:"vocab_size"`
	MaxPositions     int64          `json:"max_position_embeddings"`
	NormEps          json.Number    `json:"rms_norm_eps"`
	RopeTheta        json.Number    `json:"rope_theta"`
	RopeScaling      map[string]any `json:"rope_scaling"`
	HiddenAct        string         `json:"hidden_act"`
	AttentionBias    bool           `json:"attention_bias"`
	MLPBias          bool           `json:"mlp_bias"`
	BOS              *int           `json:"bos_token_id"`
	EOS              *int           `json:"eos_token_id"`
	Tie              bool           `json:"tie_word_embeddings"`
	TorchDType       string         `json:"torch_dtype"`
}

// ggufKeys reads the metadata of one architecture with a sticky error.
type ggufKeys struct {
	g      *GGUF
	prefix string
	err    error
}

func (k *ggufKeys) int(key string, def int64) int64 {
	v, ok := k.g.Metadata[k.prefix+key]
	if !ok {
		if def < 0 && k.err == nil {
			k.err = malformed("%s: metadata %q is missing, and it is required", k.g.region.path, k.prefix+key)
		}
		return def
	}
	n, ok := asInt(v)
	if (!ok || n < 0) && k.err == nil {
		k.err = unsupported("%s: metadata %q: found %T %v, expected a whole number", k.g.region.path, k.prefix+key, v, v)
	}
	return n
}

// float is the value in the shortest decimal form that reads back the same.
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
			k.err = malformed("%s: metadata %q: found %T %v, expected a float", k.g.region.path, k.prefix+key, v, v)
		} else if def == "" && k.err == nil {
			k.err = malformed("%s: metadata %q is missing, and it is required", k.g.region.path, k.prefix+key)
		}
		return def
	}
	if (math.IsNaN(f) || math.IsInf(f, 0)) && k.err == nil {
		k.err = malformed("%s: metadata %q: found %v, expected a finite number", k.g.region.path, k.prefix+key, f)
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, bits))
}

func (k *ggufKeys) has(tensor string) bool { return k.g.entries[tensor] != nil }

// config translates the metadata of a llama-architecture file (which Mistral
// files are too) into a config.json, and parses it, so that an import passes
// the same checks as a folder from elsewhere.
func (g *GGUF) config() ([]byte, Config, error) {
	file := g.region.path
	arch, _ := g.Metadata["general.architecture"].(string)
	if arch != "llama" {
		return nil, Config{}, unsupported("%s: general.architecture is %q, expected \"llama\"; %s", file, arch, supportedText)
	}
	k := &ggufKeys{g: g, prefix: "llama."}
	c := hfConfig{
		Architectures:    []string{"LlamaForCausalLM"},
		ModelType:        "llama",
		HiddenSize:       k.int("embedding_length", -1),
		IntermediateSize: k.int("feed_forward_length", -1),
		Layers:           k.int("block_count", -1),
		Heads:            k.int("attention.head_count", -1),
		MaxPositions:     k.int("context_length", -1),
		NormEps:          k.float("attention.layer_norm_rms_epsilon", ""),
		RopeTheta:        k.float("rope.freq_base", "10000"),
		HiddenAct:        "silu",
		AttentionBias:    k.has("blk.0.attn_q.bias"),
		MLPBias:          k.has("blk.0.ffn_gate.bias"),
		Tie:              !k.has("output.weight"),
		TorchDType:       g.mainDType(),
	}
	c.KVHeads = k.int("attention.head_count_kv", c.Heads)
	c.HeadDim = k.int("attention.key_length", 0)
	if v := k.int("attention.value_length", c.HeadDim); v != c.HeadDim && k.err == nil {
		k.err = unsupported("%s: attention.value_length is %d and key_length %d, expected the same", file, v, c.HeadDim)
	}
	if n := k.int("expert_count", 0); n != 0 && k.err == nil {
		k.err = unsupported("%s: a mixture of %d experts, expected a dense model; %s", file, n, supportedText)
	}
	if e := g.entries["token_embd.weight"]; e != nil && len(e.shape) == 2 {
		c.VocabSize = int64(e.shape[0])
	}
	c.VocabSize = k.int("vocab_size", c.VocabSize)
	for key, dst := range map[string]**int{"bos_token_id": &c.BOS, "eos_token_id": &c.EOS} {
		if n, ok := asInt(g.Metadata["tokenizer.ggml."+key]); ok && n >= 0 && n < c.VocabSize {
			id := int(n)
			*dst = &id
		}
	}
	if k.err == nil {
		c.RopeScaling, k.err = g.ropeScaling(k, c.RopeTheta)
	}
	if k.err != nil {
		return nil, Config{}, k.err
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, Config{}, err
	}
	cfg, err := ParseConfig(data, file+" (as config.json)")
	if err != nil {
		return nil, Config{}, err
	}
	if n := k.int("rope.dimension_count", int64(cfg.HeadDim)); n != int64(cfg.HeadDim) {
		return nil, Config{}, unsupported("%s: llama.rope.dimension_count is %d, expected the whole head of %d", file, n, cfg.HeadDim)
	}
	return append(data, '\n'), cfg, k.err
}

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

// ropeScaling translates the file's scaling keys, or recovers the llama3 kind
// from the divisors that llama.cpp's converter stores as rope_freqs.weight.
func (g *GGUF) ropeScaling(k *ggufKeys, theta json.Number) (map[string]any, error) {
	file := g.region.path
	kind, isSet := g.Metadata["llama.rope.scaling.type"].(string)
	if isSet && kind != "none" && kind != "linear" {
		return nil, unsupported("%s: llama.rope.scaling.type is %q, expected none or linear", file, kind)
	}
	factor := k.float("rope.scaling.factor", k.float("rope.scale_linear", "0"))
	t, ok := g.Tensor("rope_freqs.weight")
	if !ok {
		if f, _ := factor.Float64(); kind == "none" || f == 0 || f == 1 {
			return nil, k.err
		}
		return map[string]any{"rope_type": "linear", "factor": factor}, k.err
	}
	if t.DType != F32 || len(t.Shape) != 1 || t.Elems() > maxHeadDim {
		return nil, unsupported("%s: tensor rope_freqs.weight is %s %v, expected a vector of F32", file, t.DType, t.Shape)
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
			return nil, unsupported("%s: tensor rope_freqs.weight: element %d is %v, expected %v for Llama 3 scaling by %v; other frequency factors cannot be expressed", file, i, got, want, s.Factor)
		}
	}
	return map[string]any{"rope_type": s.Kind, "factor": s.Factor, "low_freq_factor": s.LowFreqFactor,
		"high_freq_factor": s.HighFreqFactor, "original_max_position_embeddings": s.OriginalMaxPositions}, nil
}

// llama3Divisor is what the llama3 kind divides the i-th of half frequencies
// base^(-i/half) by (transformers, modeling_rope_utils).
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
