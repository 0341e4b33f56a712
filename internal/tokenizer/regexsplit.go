package tokenizer

import (
	"fmt"
	"strings"

	"github.com/dlclark/regexp2"
)

// contractions is the only part of the published patterns that ignores case. Engines
// disagree on its meaning (ſ matches s in Hugging Face's engine, not in ours), so it is
// spelled out.
const (
	contractions       = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	contractionsSpelt  = `(?:'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])`
	regexMeaningDiffer = "means something else in Hugging Face's engine than in this one"
)

// compileRegex compiles a pattern of a tokenizer.json for an engine with look-around, which
// Go's does not have. Syntax that compiles but has another meaning in Hugging Face's
// engine, Oniguruma, is an error, because it would give wrong ids.
func compileRegex(pattern string) (*regexp2.Regexp, error) {
	p := strings.ReplaceAll(pattern, contractions, contractionsSpelt)
	err := checkRegex(p)
	if err == nil {
		err = checkRepeats(p)
	}
	if err != nil {
		return nil, fmt.Errorf("split pattern %q: %w", clip(pattern), err)
	}
	re, err := regexp2.Compile(p, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("split pattern %q: not supported: %w", clip(pattern), err)
	}
	re.MatchTimeout = regexMatchTime
	return re, nil
}

// letters are the characters in names of character properties.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

// checkRegex accepts only syntax on which Oniguruma and regexp2 agree.
func checkRegex(p string) error {
	inClass := false
	for i := 0; i < len(p); i++ {
		rest := p[i:]
		switch c := p[i]; {
		case c == '\\':
			if len(rest) < 2 {
				return fmt.Errorf("ends in a backslash")
			}
			i++
			e := rest[1]
			switch {
			case strings.IndexByte("pPsSdDrntfv", e) >= 0:
			case e < 0x80 && !isAlnum(e):
			default:
				return fmt.Errorf(`\%c is not supported: it %s`, e, regexMeaningDiffer)
			}
			if e == 'p' || e == 'P' {
				end := strings.IndexByte(rest, '}')
				if len(rest) < 3 || rest[2] != '{' || end < 0 || strings.Trim(rest[3:end], letters) != "" {
					return fmt.Errorf(`\%c without a name in braces is not supported`, e)
				}
				i += end - 1
			}
		case inClass:
			switch {
			case c == ']':
				inClass = false
			case c == '[', strings.HasPrefix(rest, "&&"):
				return fmt.Errorf("a set inside a set is not supported: it %s", regexMeaningDiffer)
			}
		case c == '[':
			inClass = true
			// A bracket directly after the opening bracket is literal in only one of the
			// engines.
			if strings.HasPrefix(rest, "[]") || strings.HasPrefix(rest, "[^]") {
				return fmt.Errorf("an empty set is not supported: it %s", regexMeaningDiffer)
			}
		case c == '^', c == '$':
			return fmt.Errorf("%c is not supported: it %s", c, regexMeaningDiffer)
		case c == '(':
			if strings.HasPrefix(rest, "(?") && !hasAnyPrefix(rest, "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>") {
				return fmt.Errorf("group %.4q is not supported", rest)
			}
		case c == '{':
			if !(len(rest) > 1 && '0' <= rest[1] && rest[1] <= '9') {
				return fmt.Errorf("{ without a lower bound is not supported: it %s", regexMeaningDiffer)
			}
		case c == '}':
			if hasAnyPrefix(rest, "}?", "}+", "}*") {
				return fmt.Errorf("%.2q is not supported: it %s", rest, regexMeaningDiffer)
			}
		}
	}
	return nil
}

func isAlnum(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// span is a piece of text: a match of a pattern, or the text between two matches.
type span struct {
	start, end int // bytes
	match      bool
}

// regexSpans divides s into the matches of re and the text between them.
func regexSpans(re *regexp2.Regexp, s string) ([]span, error) {
	var spans []span
	// regexp2 counts characters; the loop converts to byte offsets.
	at, char := 0, 0
	bytesTo := func(n int) int {
		for ; char < n; char++ {
			_, size := classAt(s[at:])
			at += size
		}
		return at
	}
	done := 0
	f := newRegexFinder(re, s)
	m, err := re.FindStringMatch(s)
	for ; m != nil && err == nil; m, err = re.FindNextMatch(m) {
		if err := f.check(nil); err != nil {
			return nil, err
		}
		start := bytesTo(m.Index)
		end := bytesTo(m.Index + m.Length)
		if start == end {
			continue
		}
		if start > done {
			spans = append(spans, span{done, start, false})
		}
		spans = append(spans, span{start, end, true})
		done = end
	}
	if err != nil {
		return nil, f.check(err)
	}
	if done < len(s) {
		spans = append(spans, span{done, len(s), false})
	}
	return spans, nil
}
