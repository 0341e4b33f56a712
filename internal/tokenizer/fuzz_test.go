package tokenizer

import (
	"bytes"
	"os"
	"testing"
	"unicode/utf8"
)

// exercise uses a tokenizer that a fuzzed file gave: it must not panic.
func exercise(t *testing.T, tok *Tokenizer) {
	for _, text := range []string{"", "a", "hello the world's 123\n\n ▁ 🦙<s>\u00e9"} {
		ids, err := tok.Encode(text, true)
		if err != nil {
			continue
		}
		for _, id := range ids {
			if id < 0 || id >= tok.VocabSize() {
				t.Fatalf("id %d of %d", id, tok.VocabSize())
			}
		}
		if got := streamed(t, tok, ids); got != tok.Decode(ids) {
			t.Fatalf("streamed %q, Decode gives %q", got, tok.Decode(ids))
		}
	}
}

func FuzzTokenizerJSON(f *testing.F) {
	v := readHFVectors(f)
	for _, x := range v.Variants {
		// Small seeds: the fuzzer is to change structure, not the vocabulary.
		b := v.Bases[x.Base]
		b.Vocab, b.Merges = b.Vocab[:min(len(b.Vocab), 40)], nil
		v2 := *v
		v2.Bases = map[string]struct {
			Vocab  []string `json:"vocab"`
			Merges []string `json:"merges"`
		}{x.Base: b}
		f.Add(v2.file(f, x))
	}
	f.Add([]byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]},"decoder":{"type":"Fuse"}}`))
	f.Add([]byte(`{"model":{"vocab":{},"merges":[]}}`))
	f.Add([]byte(promptDoc)) // a normalized added token behind Prepend, EOS in the template
	f.Add([]byte(`{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(([a-zA-Z ]+)+)+!"},"behavior":"Isolated","invert":false},"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"decoder":{"type":"ByteLevel"}}`))
	f.Add([]byte(`{"added_tokens":[{"id":1,"content":" ","lstrip":true,"rstrip":true}],"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"decoder":{"type":"ByteLevel"}}`))
	f.Add([]byte("\xef\xbb\xbf{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if tok, err := parseHF(data, &sidecar{}); err == nil {
			exercise(t, tok)
		}
	})
}

func FuzzTokenizerModel(f *testing.F) {
	v := readSPMVectors(f)
	small := append(v.pieces(0)[:3:3], Piece{"▁", -1, PieceNormal}, Piece{"a", -2, PieceNormal}, Piece{"▁a", -0.5, PieceNormal}, Piece{"he", 0, PieceUserDefined})
	for _, o := range []SentencePieceOptions{{AddDummyPrefix: true, BOS: 1, EOS: 2}, {RemoveExtraWhitespaces: true, BOS: -1, EOS: -1}} {
		var b bytes.Buffer
		if err := WriteSentencePiece(&b, small, o); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte{0x0a, 0x00})
	f.Add([]byte("IQ== 0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if tok, err := parseModel(data, &sidecar{}); err == nil {
			exercise(t, tok)
		}
	})
}

func FuzzTiktoken(f *testing.F) {
	f.Add([]byte(tiktokenFile(tinyRanks())))
	f.Add([]byte("IQ== 0\nIg== 1\n"))
	f.Add([]byte("IQ== 1\r\nIg== 0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tokens, err := parseTiktoken(data)
		if err != nil {
			return
		}
		if tok, err := newLlama3(tokens, &sidecar{}); err == nil {
			exercise(t, tok)
		}
	})
}

func FuzzSidecar(f *testing.F) {
	f.Add([]byte(`{"bos_token":"<s>","eos_token":{"content":"</s>"},"add_bos_token":true,"bos_token_id":1,"eos_token_id":[1,2],"added_tokens_decoder":{"1":{"content":"<s>"}}}`))
	f.Add([]byte(`{"a":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"tokenizer_config.json", "added_tokens.json", "special_tokens_map.json", "config.json"} {
			side, err := readSidecar(func(n string) ([]byte, error) {
				if n == name {
					return data, nil
				}
				return nil, nil
			})
			if err != nil {
				continue
			}
			if tok, err := newLlama3(tinyRanks(), side); err == nil {
				exercise(t, tok)
			}
		}
	})
}

// FuzzEncode: byte-level text comes back as it was, whatever it is.
func FuzzEncode(f *testing.F) {
	v := readHFVectors(f)
	for _, s := range v.Texts {
		f.Add(s)
	}
	tok, err := parseHF(v.variant(f, "llama-3 ignore_merges"), &sidecar{})
	if err != nil {
		f.Fatal(err)
	}
	meta, err := parseHF(v.variant(f, "llama-2"), &sidecar{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ids, err := tok.EncodeOrdinary(s)
		if !utf8.ValidString(s) {
			if err == nil {
				t.Fatalf("%q is not UTF-8 and was encoded", s)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Decode(ids); got != s {
			t.Fatalf("%q came back as %q", s, got)
		}
		if streamed(t, tok, ids) != s {
			t.Fatalf("%q streamed differently", s)
		}
		if ids, err = meta.EncodeOrdinary(s); err != nil {
			t.Fatal(err)
		}
		// ▁ and the space are the same to these vocabularies.
		if got, want := meta.Decode(ids), string(bytes.ReplaceAll([]byte(s), []byte(spaceMark), []byte(" "))); got != want {
			t.Fatalf("%q came back as %q", want, got)
		}
	})
}

// TestFileSizeLimit: a file over the limit is refused before it is read.
func TestFileSizeLimit(t *testing.T) {
	dir := folder(t, map[string]string{"tokenizer.json": ""})
	if err := os.Truncate(dir+"/tokenizer.json", MaxFileBytes+1); err != nil {
		t.Skip("no sparse files here:", err)
	}
	if _, err := Load(dir); err == nil || !bytes.Contains([]byte(err.Error()), []byte("expected at most")) {
		t.Errorf("got %v", err)
	}
}
