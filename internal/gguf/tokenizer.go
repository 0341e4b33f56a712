package gguf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Tokenizer is the tokenizer that a file's metadata describe.
func Tokenizer(g *checkpoint.GGUF) (*tokenizer.Tokenizer, error) {
	files, err := TokenizerFiles(g)
	if err != nil {
		return nil, fmt.Errorf("%s: tokenizer: %w", g.Path(), err)
	}
	return tokenizer.LoadFiles(g.Path(), files)
}

// LoadTokenizer opens the tokenizer of a model: a folder or a GGUF file.
func LoadTokenizer(ck *checkpoint.Checkpoint) (*tokenizer.Tokenizer, error) {
	if ck.GGUF != nil {
		return Tokenizer(ck.GGUF)
	}
	return tokenizer.Load(ck.Dir)
}

// LoadTemplate finds the chat template of a model: a folder or a GGUF file.
func LoadTemplate(ck *checkpoint.Checkpoint) (*chat.Template, error) {
	g := ck.GGUF
	if g == nil {
		return chat.Load(ck.Dir)
	}
	s := chat.Source{Templates: map[string]string{}, Tokens: map[string]string{}, From: g.Path() + ": metadata \"tokenizer.chat_template\""}
	const key = "tokenizer.chat_template"
	for k, v := range g.Metadata {
		name, named := strings.CutPrefix(k, key+".")
		if !named && k != key {
			continue
		}
		text, ok := v.(string)
		switch {
		case !ok:
			return nil, fmt.Errorf("%s: metadata %q: %s, expected a text", g.Path(), k, checkpoint.MetadataText(v))
		case named:
			s.Templates[name] = text
		default:
			s.Templates["default"] = text
		}
	}
	v, err := newVocabulary(g)
	if err != nil {
		return nil, fmt.Errorf("%s: tokenizer: %w", g.Path(), err)
	}
	for name, id := range map[string]int{"bos_token": v.bos, "eos_token": v.eos, "unk_token": v.unk, "pad_token": v.pad} {
		if id >= 0 {
			s.Tokens[name] = v.tokens[id]
		}
	}
	return chat.New(s)
}

// vocabulary is the tokenizer's part of the metadata, after checks.
type vocabulary struct {
	model, pre         string
	tokens             []string
	scores             []float32
	types              []int32
	merges             []string
	bos, eos, unk, pad int // -1: none
	g                  *checkpoint.GGUF
}

// Types of tokens.
const (
	typeNormal  = 1
	typeUnknown = 2
	typeControl = 3
	typeUser    = 4
	typeUnused  = 5
	typeByte    = 6
)

func newVocabulary(g *checkpoint.GGUF) (*vocabulary, error) {
	v := &vocabulary{g: g}
	var err error
	if v.tokens, v.scores, v.types, v.model, v.bos, v.eos, err = g.Vocabulary(); err != nil {
		return nil, err
	}
	var ignored int // [checkpoint.GGUF.EndTokens] reads them
	for key, id := range map[string]*int{"unknown_token_id": &v.unk, "padding_token_id": &v.pad, "eot_token_id": &ignored, "eom_token_id": &ignored} {
		if *id, err = g.TokenID(key); err != nil {
			return nil, err
		}
	}
	for i, t := range v.types {
		if t < 0 || t > typeByte {
			return nil, fmt.Errorf("metadata \"tokenizer.ggml.token_type\": token %d, %.60q, has the type %d, expected 1 to %d", i, v.tokens[i], t, typeByte)
		}
	}
	pre, ok := g.Metadata["tokenizer.ggml.pre"].(string)
	if _, there := g.Metadata["tokenizer.ggml.pre"]; there && !ok {
		return nil, fmt.Errorf("metadata \"tokenizer.ggml.pre\": %s, expected a text", checkpoint.MetadataText(g.Metadata["tokenizer.ggml.pre"]))
	}
	v.pre = pre
	v.merges, _ = g.Metadata["tokenizer.ggml.merges"].([]string)
	return v, nil
}

// flag reads a boolean in the metadata; def is used if it is absent.
func (v *vocabulary) flag(key string, def bool) (bool, error) {
	switch b := v.g.Metadata["tokenizer.ggml."+key].(type) {
	case nil:
		return def, nil
	case bool:
		return b, nil
	default:
		return def, fmt.Errorf("metadata \"tokenizer.ggml.%s\": %s, expected true or false", key, checkpoint.MetadataText(b))
	}
}

// TokenizerFiles returns the tokenizer's files of a Hugging Face folder, by name, made from
// the metadata: tokenizer.model for SentencePiece, or tokenizer.json for byte-level BPE;
// tokenizer_config.json with the special tokens and the chat template;
// generation_config.json with the tokens that end a text.
func TokenizerFiles(g *checkpoint.GGUF) (map[string][]byte, error) {
	v, err := newVocabulary(g)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	config := map[string]any{}
	for name, id := range map[string]int{"bos_token": v.bos, "eos_token": v.eos, "unk_token": v.unk, "pad_token": v.pad} {
		if id >= 0 {
			config[name] = v.tokens[id]
		}
	}
	switch v.model {
	case "llama":
		files["tokenizer.model"], err = v.sentencePiece(config)
	case "gpt2":
		files["tokenizer.json"], err = v.byteLevel(config)
	default:
		err = fmt.Errorf("metadata \"tokenizer.ggml.model\" is %q, expected llama (SentencePiece) or gpt2 (byte-level BPE); take the model's original Hugging Face folder instead", v.model)
	}
	if err != nil {
		return nil, err
	}
	switch t := g.Metadata["tokenizer.chat_template"].(type) {
	case nil:
	case string:
		config["chat_template"] = t
	default:
		return nil, fmt.Errorf("metadata \"tokenizer.chat_template\": %s, expected a text", checkpoint.MetadataText(t))
	}
	if files["tokenizer_config.json"], err = json.MarshalIndent(config, "", "  "); err != nil {
		return nil, err
	}
	generation := map[string]any{}
	if v.bos >= 0 {
		generation["bos_token_id"] = v.bos
	}
	if ends := g.EndTokens(); len(ends) > 0 {
		generation["eos_token_id"] = ends
	}
	files["generation_config.json"], err = json.MarshalIndent(generation, "", "  ")
	return files, err
}

// sentencePiece makes a tokenizer.model, and adds to config what that cannot express.
func (v *vocabulary) sentencePiece(config map[string]any) ([]byte, error) {
	if v.scores == nil {
		return nil, fmt.Errorf("metadata \"tokenizer.ggml.scores\" is missing, and a tokenizer of SentencePiece needs it")
	}
	if v.types == nil {
		return nil, errors.New("metadata \"tokenizer.ggml.token_type\" is missing, and a tokenizer of SentencePiece needs it")
	}
	pieces := make([]tokenizer.Piece, len(v.tokens))
	unknown := v.unk
	if unknown < 0 {
		unknown = slices.Index(v.types, typeUnknown)
	}
	for i, t := range v.tokens {
		pieces[i] = tokenizer.Piece{Text: t, Score: v.scores[i], Type: tokenizer.PieceType(v.types[i])}
		switch {
		case i == unknown:
			pieces[i].Type = tokenizer.PieceUnknown
		case v.types[i] == typeUnused, v.types[i] == typeUnknown:
			// Never matched in a text, like a control token. Files such as Phi-3's call the
			// tokens that fill up their vocabulary unknown.
			pieces[i].Type = tokenizer.PieceControl
		}
	}
	o := tokenizer.DefaultSentencePieceOptions()
	o.BOS, o.EOS = v.bos, v.eos
	var err error
	read := func(key string, def bool) bool {
		b, e := v.flag(key, def)
		if err == nil {
			err = e
		}
		return b
	}
	o.AddDummyPrefix = read("add_space_prefix", true)
	o.RemoveExtraWhitespaces = read("remove_extra_whitespaces", false)
	o.AddBOS = read("add_bos_token", v.bos >= 0)
	o.AddEOS = read("add_eos_token", false)
	if err != nil {
		return nil, err
	}
	if o.AddBOS && v.bos < 0 {
		return nil, fmt.Errorf("metadata \"tokenizer.ggml.add_bos_token\" is true, but there is no bos_token_id")
	}
	config["add_bos_token"], config["add_eos_token"] = o.AddBOS, o.AddEOS
	var b bytes.Buffer
	err = tokenizer.WriteSentencePiece(&b, pieces, o)
	return b.Bytes(), err
}

// preTokenizer describes how a text is split into words before merging, by GGUF's name for
// it.
type preTokenizer struct {
	normalizer   any
	pattern      string // of the words; "": GPT-2's
	digits       bool   // each digit is a word of its own, before all else
	ignoreMerges bool   // a word that is a token is not split
	addBOS       bool   // default if the file does not say
}

// preTokenizers are the known ones, each with the patterns of the model's own
// tokenizer.json.
var preTokenizers = func() map[string]preTokenizer {
	all := map[string]preTokenizer{}
	add := func(p preTokenizer, names ...string) {
		for _, n := range names {
			all[n] = p
		}
	}
	add(preTokenizer{}, "gpt-2", "phi-2", "mellum", "exaone4", "modern-bert", "olmo", "jais", "mpt")
	add(preTokenizer{digits: true}, "smollm", "starcoder", "refact", "codeshell", "command-r")
	add(preTokenizer{pattern: tokenizer.PatternLlama3, ignoreMerges: true, addBOS: true}, "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "lfm2")
	add(preTokenizer{pattern: tokenizer.PatternLlama3}, "dbrx", "smaug-bpe")
	add(preTokenizer{pattern: tokenizer.PatternQwen2, normalizer: map[string]any{"type": "NFC"}}, "qwen2", "deepseek-r1-qwen", "megrez")
	add(preTokenizer{pattern: patternTekken, ignoreMerges: true}, "tekken")
	add(preTokenizer{pattern: patternGPT4o}, "gpt-4o", "llama4")
	return all
}()

const (
	patternTekken = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternGPT4o  = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// byteLevel makes a tokenizer.json, and adds to config what that cannot express.
func (v *vocabulary) byteLevel(config map[string]any) ([]byte, error) {
	pre, ok := preTokenizers[v.pre]
	if !ok {
		return nil, fmt.Errorf("metadata \"tokenizer.ggml.pre\" is %q, expected one of %s; words would be split differently than in training; use the model's original Hugging Face folder, or a newer GGUF file",
			v.pre, strings.Join(slices.Sorted(maps.Keys(preTokenizers)), ", "))
	}
	if v.merges == nil {
		return nil, fmt.Errorf("metadata \"tokenizer.ggml.merges\" is missing or not a list of strings, but the gpt2 tokenizer needs it")
	}
	vocab, added, err := v.hfTokens()
	if err != nil {
		return nil, err
	}
	space, err := v.flag("add_space_prefix", false)
	if err != nil {
		return nil, err
	}
	switch remove, err := v.flag("remove_extra_whitespaces", false); {
	case err != nil:
		return nil, err
	case remove:
		return nil, errors.New("metadata \"tokenizer.ggml.remove_extra_whitespaces\" is true, which byte-level tokenizers do not have; take the model's original Hugging Face folder instead")
	}
	addBOS, err := v.flag("add_bos_token", pre.addBOS && v.bos >= 0)
	if err != nil {
		return nil, err
	}
	addEOS, err := v.flag("add_eos_token", false)
	if err != nil {
		return nil, err
	}
	for key, id := range map[string]int{"bos": v.bos, "eos": v.eos} {
		if id < 0 && (key == "bos" && addBOS || key == "eos" && addEOS) {
			return nil, fmt.Errorf("metadata \"tokenizer.ggml.add_%s_token\" is true, but there is no %s_token_id", key, key)
		}
	}
	config["add_bos_token"], config["add_eos_token"] = addBOS, addEOS
	bytesOnly := map[string]any{"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true, "use_regex": pre.pattern == ""}
	steps := []any{bytesOnly}
	if pre.pattern != "" {
		steps = []any{map[string]any{"type": "Split", "pattern": map[string]any{"Regex": pre.pattern}, "behavior": "Isolated", "invert": false}, bytesOnly}
	}
	if pre.digits {
		steps = append([]any{map[string]any{"type": "Digits", "individual_digits": true}}, steps...)
	}
	file := map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer":     pre.normalizer,
		"pre_tokenizer":  map[string]any{"type": "Sequence", "pretokenizers": steps},
		"post_processor": v.template(addBOS, addEOS),
		"decoder":        map[string]any{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": false, "byte_fallback": false, "ignore_merges": pre.ignoreMerges, "vocab": vocab, "merges": v.merges},
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err = enc.Encode(file)
	return b.Bytes(), err
}

// addedToken is an entry of added_tokens in a tokenizer.json.
type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// hfTokens returns the vocabulary of a tokenizer.json and its added tokens.
func (v *vocabulary) hfTokens() (vocab map[string]int, added []addedToken, err error) {
	vocab, added = make(map[string]int, len(v.tokens)), []addedToken{}
	for i, t := range v.tokens {
		kind := int32(typeNormal)
		if v.types != nil {
			kind = v.types[i]
		}
		if kind == typeUnused { // padding of the embedding; occurs in no text
			continue
		}
		if old, ok := vocab[t]; ok {
			return nil, nil, fmt.Errorf("metadata \"tokenizer.ggml.tokens\": %q is both token %d and token %d", t, old, i)
		}
		vocab[t] = i
		if kind == typeControl || kind == typeUser || kind == typeUnknown {
			added = append(added, addedToken{ID: i, Content: t, Special: kind != typeUser})
		}
	}
	return vocab, added, nil
}

// template lists the tokens before and after a text; nil: none.
func (v *vocabulary) template(addBOS, addEOS bool) any {
	if !addBOS && !addEOS {
		return nil
	}
	special := map[string]any{}
	token := func(id int) any {
		t := v.tokens[id]
		special[t] = map[string]any{"id": t, "ids": []int{id}, "tokens": []string{t}}
		return map[string]any{"SpecialToken": map[string]any{"id": t, "type_id": 0}}
	}
	var one, two []any
	add := func(part any) { one, two = append(one, part), append(two, part) }
	if addBOS {
		add(token(v.bos))
	}
	add(map[string]any{"Sequence": map[string]any{"id": "A", "type_id": 0}})
	two = append(two, map[string]any{"Sequence": map[string]any{"id": "B", "type_id": 0}})
	if addEOS {
		add(token(v.eos))
	}
	return map[string]any{"type": "TemplateProcessing", "single": one, "pair": two, "special_tokens": special}
}
