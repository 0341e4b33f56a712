package constrain

import (
	"math/rand/v2"
	"regexp"
	"testing"
	"unicode/utf8"
)

// TestRegexps compares with Go's own matching of whole texts.
func TestRegexps(t *testing.T) {
	v := testVocabulary()
	texts := []string{"", "a", "b", "ab", "ba", "aab", "abc", "A", "é", "日本", "🙂", "1", "12", "a1", " ", "\n", "a\nb", "-", "2024-01-01", "x/y", `"\`, "aaaa", "bbbbbbbb", "\r", "\u2028"}
	for i, pattern := range []string{`a*b*`, `(a|b)+`, `[^a]`, `\d{1,3}`, `\w+`, `\W`, `[a-c]{2,}`, `(?i)a`, `é|日本?`, `.`, `(?s).`, `.{0,3}`, `\p{L}+`, `^a$`, `a|^b`, `(ab?)*`, `x/y`, `[\x{1F600}-\x{1F64F}]`, `[^\x00-\x7f]+`, `"\\`, `$`, ``} {
		p, err := Regexp(pattern)
		if err != nil {
			t.Errorf("%q: %v", pattern, err)
			continue
		}
		g := p.Grammar(v)
		re := regexp.MustCompile(`^(?:` + pattern + `)$`)
		for _, s := range texts {
			want := re.MatchString(s)
			if pattern == "." || pattern == ".{0,3}" { // of ECMA 262
				want = want && s != "\r" && s != "\u2028"
			}
			if got := read(g, s); got != want {
				t.Errorf("%q, %q: %v, expected %v", pattern, s, got, want)
			}
		}
		for k := range 30 {
			if text, ok := walk(t, g, rand.New(rand.NewPCG(uint64(i), uint64(k))), 60); ok && (!utf8.ValidString(text) || !re.MatchString(text)) {
				t.Errorf("%q: wrote %q", pattern, text)
			}
		}
	}
}

// TestECMA: what JSON Schema's expressions write otherwise than Go's.
func TestECMA(t *testing.T) {
	v := testVocabulary()
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{`\/`, []string{"/"}, []string{`\/`}},
		{`é\u{1F642}`, []string{"é🙂"}, []string{"e"}},
		{`\ud83d\ude42`, []string{"🙂"}, []string{"x"}},
		{`[\u0041-\u0043]`, []string{"A", "B"}, []string{"D"}},
		{`\cJ`, []string{"\n"}, []string{"J"}},
		{`\S`, []string{"a"}, []string{" ", "\u00a0", "\ufeff"}},
		{`[[]`, []string{"["}, []string{"]"}},
		{`\d`, []string{"7"}, []string{"٣"}},
		{`(?<year>\d{4})`, []string{"2024"}, []string{"24"}},
		{`a\-b`, []string{"a-b"}, []string{"ab"}},
	} {
		p, err := Regexp(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		g := p.Grammar(v)
		for _, s := range c.yes {
			if !read(g, s) {
				t.Errorf("%q: %q is refused", c.pattern, s)
			}
		}
		for _, s := range c.no {
			if read(g, s) {
				t.Errorf("%q: %q is allowed", c.pattern, s)
			}
		}
	}
}

// TestChoice: one of several texts, of which some begin like others.
func TestChoice(t *testing.T) {
	p, err := Choice([]string{"yes", "yes, please", "no", "né"})
	if err != nil {
		t.Fatal(err)
	}
	g := p.Grammar(testVocabulary())
	for s, want := range map[string]bool{"yes": true, "yes, please": true, "no": true, "né": true, "": false, "ye": false, "yes,": false, "n": false, "noo": false} {
		if got := read(g, s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
	if _, err := Choice(nil); err == nil {
		t.Error("a choice of nothing is allowed")
	}
	if p, err := AnyObject(); err != nil || !read(p.Grammar(testVocabulary()), `{"a": [1, {"b": null}]}`) || read(p.Grammar(testVocabulary()), `[1]`) {
		t.Errorf("any object: %v", err)
	}
}
