package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// streamed decodes ids one by one and checks each part.
func streamed(t testing.TB, tok *Tokenizer, ids []int) string {
	t.Helper()
	var b strings.Builder
	s := tok.Stream()
	for _, id := range ids {
		part := s.Next(id)
		if !utf8.ValidString(part) {
			t.Fatalf("ids %v: part %q is not UTF-8", ids, part)
		}
		b.WriteString(part)
	}
	b.WriteString(s.Flush())
	return b.String()
}

// TestStream: the parts put together are Decode's text, for any ids.
func TestStream(t *testing.T) {
	v := readHFVectors(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, x := range v.Variants {
		tok, err := parseHF(v.file(t, x), &sidecar{})
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			ids := make([]int, rng.IntN(20))
			for i := range ids {
				ids[i] = rng.IntN(tok.VocabSize()+4) - 2 // some are no ids
			}
			if got, want := streamed(t, tok, ids), tok.Decode(ids); got != want {
				t.Fatalf("%s: %v: %q, Decode gives %q", x.Name, ids, got, want)
			}
		}
	}
}

// TestStreamHoldsBack: a character of several tokens comes whole.
func TestStreamHoldsBack(t *testing.T) {
	v := readHFVectors(t)
	for _, name := range []string{"gpt2", "llama-2"} {
		tok, err := parseHF(v.variant(t, name), &sidecar{})
		if err != nil {
			t.Fatal(err)
		}
		ids, err := tok.Encode("a🦙", false)
		if err != nil {
			t.Fatal(err)
		}
		s, got := tok.Stream(), []string{}
		for _, id := range ids {
			if part := s.Next(id); part != "" {
				got = append(got, part)
			}
		}
		if strings.Join(got, "|") != "a|🦙" {
			t.Errorf("%s: %q", name, got)
		}
		// The same cut short is a broken character.
		if got := tok.Decode(ids[:len(ids)-1]); !strings.HasPrefix(got, "a�") {
			t.Errorf("%s: cut short: %q", name, got)
		}
	}
}

func TestBrokenLen(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int
	}{{"\xff", 1}, {"\xe5\x8fh", 2}, {"\xe5\x8f", 2}, {"\xe0\x80\x80", 1}, {"\xf0\x9f\xa6x", 3}, {"\xf0\x9f", 2}, {"\x80\x80", 1}, {"\xf5\x80", 1}, {"\xed\xa0\x80", 1}} {
		if got := brokenLen([]byte(c.in)); got != c.want {
			t.Errorf("%q: got %d, want %d", c.in, got, c.want)
		}
		// Go's own conversion to valid UTF-8 replaces runs; Rust's and ours
		// replace each maximal subpart.
	}
}
