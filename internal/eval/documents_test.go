package eval

import (
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testdata"
)

// TestWikitextDocuments holds the division and the undone spacing of the whole
// test split to what Python makes of lm-eval 0.4.4's rules.
func TestWikitextDocuments(t *testing.T) {
	testdata.Path(t, "text", "wikitext-2", "wiki.test.raw")
	docs, how, err := Documents(readFile(t, "text", "wikitext-2", "wiki.test.raw"), DocumentsAuto)
	if err != nil {
		t.Fatal(err)
	}
	words, bytes := 0, 0
	var texts []string
	for _, d := range docs {
		words += d.Words
		bytes += d.Bytes
		texts = append(texts, d.Text)
	}
	if len(docs) != 62 || words != 241335 || bytes != 1290527 || !strings.HasPrefix(how, "WikiText") {
		t.Errorf("%d documents, %d words, %d bytes, %s; expected 62, 241335, 1290527", len(docs), words, bytes, how)
	}
	if got, want := TextHash(strings.Join(texts, "\x00")), "b0ae50e166add20959a5406d9b3c99fe1f23819ec0a10149047149434fb85d81"; got != want {
		t.Errorf("the texts' hash is %s, Python's %s", got, want)
	}
}

func TestDocuments(t *testing.T) {
	for _, c := range []struct {
		how, text string
		want      []string
	}{
		{DocumentsFile, "a\n\n\nb", []string{"a\n\n\nb"}},
		{DocumentsAuto, "a\n\n\nb = c = d", []string{"a\n\n\nb = c = d"}},
		{DocumentsBlank, "a\n\nb\n\n\nc\n \n\t\nd\n\n\n\n", []string{"a\n\nb", "c", "d"}},
		{DocumentsAuto, " = One = \n \n x 's y \n = = Part = = \n z \n = Two = \n w", []string{"= One =\n\nx's y\n== Part ==\nz", "= Two =\nw"}},
		{DocumentsAuto, " \n = One = \n a @-@ b , ( c ) \" d \" 3 @.@ 5", []string{"= One =\na-b, (c) \"d\" 3.5"}},
	} {
		docs, _, err := Documents(c.text, c.how)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range docs {
			got = append(got, strings.TrimSpace(d.Text))
		}
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s of %q:\n%q, want\n%q", c.how, c.text, got, c.want)
		}
	}
}

// TestCountWords: pieces of Python's re.split(r"\s+", s), the empty ones at the
// ends included.
func TestCountWords(t *testing.T) {
	for s, want := range map[string]int{"": 1, "a": 1, "a b": 2, " a b": 3, " a  b\n": 4, "\u00a0a\u2003b": 3, "a\x1cb": 2, "a\u200bb": 1, " ": 2} {
		if got := countWords(s); got != want {
			t.Errorf("%q: %d words, want %d", s, got, want)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	for _, s := range []string{"", " = A = \n b 's ( c ) ", "a\n\n\nb", "= =", "\" ' \" '"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, how := range []string{DocumentsAuto, DocumentsBlank, DocumentsWikitext} {
			docs, _, err := Documents(s, how)
			if err != nil {
				t.Fatal(err)
			}
			total := 0
			for _, d := range docs {
				total += d.Bytes
			}
			if total > len(s) {
				t.Fatalf("%s: %d bytes of documents from %d", how, total, len(s))
			}
		}
	})
}
