package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// splitSeeds bracket the corners of the patterns.
var splitSeeds = []string{
	"", " ", "  ", "\n", " \n ", "a", " a", "  a", "'s", "'S", "'ſ", "'ſa", "''ll", "'lL'", "I'll I've we'RE don't",
	"1234567", " 12 3", "a1b2", "½²Ⅷ", "x \t\n y", "\r\n\r\n", "!!\n\n x", " !a", "\u00a0a", "\u3000", "e\u0301x", "🦙 🦙x", "中文 字", "\u0085", "\u200b", "'\n", "' s", "\x00",
}

// known splits s with the hand-written splitter of a pattern.
func knownCut(t testing.TB, pattern, s string) []string {
	var out []string
	for s != "" {
		n := knownSplitters[pattern].next(s)
		if n <= 0 || n > len(s) {
			t.Fatalf("splitter took %d of %q", n, s)
		}
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

func regexCut(t testing.TB, pattern, s string) []string {
	re, err := compileRegex(pattern)
	if err != nil {
		t.Fatal(err)
	}
	spans, err := regexSpans(re, s)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, w := range spans {
		if !w.match {
			t.Fatalf("pattern leaves %q of %q", s[w.start:w.end], s)
		}
		out = append(out, s[w.start:w.end])
	}
	return out
}

// TestSplittersAgainstRegexp compares the hand-written splitters with a regular
// expression engine on random text.
func TestSplittersAgainstRegexp(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{" ", "  ", "\n", "\r", "\t", "\u00a0", "\u3000", "\u0085", "'", "'s", "'S", "'ſ", "'ll", "'Re", "'vE", "a", "Z", "é", "e\u0301", "中", "क", "ा", "1", "12", "٣", "½", "Ⅷ", "_", "-", "!", "🦙", "\u200d", "\u0301", "ſ", "K"}
	for pattern := range knownSplitters {
		check := func(s string) {
			got, want := knownCut(t, pattern, s), regexCut(t, pattern, s)
			if !slices.Equal(got, want) {
				t.Fatalf("%s: %q\n got %q\nwant %q", knownSplitters[pattern].name, s, got, want)
			}
		}
		for _, s := range splitSeeds {
			check(s)
		}
		for range 3000 {
			var b strings.Builder
			for range rng.IntN(16) {
				b.WriteString(alphabet[rng.IntN(len(alphabet))])
			}
			check(b.String())
		}
	}
}

// TestClasses checks that each character is in one class and that the table
// for ASCII is the rule for all.
func TestClasses(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		c := classOf(r)
		if unicode.IsSpace(r) != (c == space || c == newline) || unicode.IsLetter(r) != (c == letter) || unicode.IsNumber(r) != (c == number) {
			t.Fatalf("%U is of class %d", r, c)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range splitSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if invalidUTF8(s) >= 0 || len(s) > 1000 {
			return
		}
		for pattern := range knownSplitters {
			got, want := knownCut(t, pattern, s), regexCut(t, pattern, s)
			if !slices.Equal(got, want) {
				t.Fatalf("%s: %q\n got %q\nwant %q", knownSplitters[pattern].name, s, got, want)
			}
		}
	})
}
