package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// The split patterns that have a hand-written splitter, exactly as in tokenizer.json files.
// The splitters give the same results as the patterns (the tests compare them with a
// regular-expression engine) at thirty times the speed.
const (
	patternGPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternQwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// The patterns of two model families, for vocabularies that come without a tokenizer.json.
const (
	PatternLlama3 = patternLlama3
	PatternQwen2  = patternQwen2
)

// splitter returns the length of the first match of a pattern in s, which is not empty. The
// patterns match at every position, so matches are adjacent.
type splitter func(s string) int

// knownSplitters maps a pattern to its name and splitter.
var knownSplitters = map[string]struct {
	name string
	next splitter
}{
	patternGPT2:   {"gpt-2", nextGPT2},
	patternLlama3: {"llama-3", func(s string) int { return nextLlama3(s, 3) }},
	patternQwen2:  {"qwen2", func(s string) int { return nextLlama3(s, 1) }},
}

// class is a character class of the patterns.
type class uint8

const (
	other   class = iota
	letter        // \p{L}
	number        // \p{N}
	space         // \s without newlines
	newline       // [\r\n]
)

var asciiClass = func() (c [utf8.RuneSelf]class) {
	for r := range rune(utf8.RuneSelf) {
		c[r] = classOf(r)
	}
	return c
}()

func classOf(r rune) class {
	switch {
	case r == '\r' || r == '\n':
		return newline
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// classAt returns the class and length of the first character of s; an empty
// s gives length 0.
func classAt(s string) (class, int) {
	if s == "" {
		return other, 0
	}
	if s[0] < utf8.RuneSelf {
		return asciiClass[s[0]], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return classOf(r), n
}

// run returns the length of the leading characters of s that have class c, at most limit
// characters (0: any number).
func run(s string, c class, limit int) int {
	i := 0
	for k := 0; limit == 0 || k < limit; k++ {
		got, n := classAt(s[i:])
		if n == 0 || got != c {
			break
		}
		i += n
	}
	return i
}

// nextGPT2 is the splitter of patternGPT2.
func nextGPT2(s string) int {
	if s[0] == '\'' {
		if n := contraction(s, false); n > 0 {
			return n
		}
	}
	from := 0
	if s[0] == ' ' {
		from = 1
	}
	switch c, n := classAt(s[from:]); {
	case n == 0:
	case c == letter, c == number, c == other:
		return from + n + run(s[from+n:], c, 0)
	}
	all, _, last := whiteSpace(s)
	return beforeWord(s, all, last)
}

// nextLlama3 is the splitter of patternLlama3 with digits 3 and of patternQwen2 with digits
// 1.
func nextLlama3(s string, digits int) int {
	if s[0] == '\'' {
		if n := contraction(s, true); n > 0 {
			return n
		}
	}
	c, n := classAt(s)
	switch c {
	case letter:
		return n + run(s[n:], letter, 0)
	case number:
		return run(s, number, digits)
	case other, space:
		// [^\r\n\p{L}\p{N}]?\p{L}+
		if k := run(s[n:], letter, 0); k > 0 {
			return n + k
		}
	}
	//  ?[^\s\p{L}\p{N}]+[\r\n]*
	from := 0
	if s[0] == ' ' {
		from = 1
	}
	if k := run(s[from:], other, 0); k > 0 {
		from += k
		return from + run(s[from:], newline, 0)
	}
	all, lines, last := whiteSpace(s)
	if lines > 0 {
		return lines // \s*[\r\n]+ ends after the last line end of the run
	}
	return beforeWord(s, all, last)
}

// whiteSpace returns the length of the white space at the beginning of s, its length up to
// and including the last line end, and the length of its last character.
func whiteSpace(s string) (all, lines, last int) {
	for {
		c, n := classAt(s[all:])
		if n == 0 || (c != space && c != newline) {
			return all, lines, last
		}
		all += n
		last = n
		if c == newline {
			lines = all
		}
	}
}

// beforeWord is \s+(?!\S)|\s+ on a run of white space: all of it at the end of the text;
// otherwise all but the last character, which belongs to the following word, unless it is
// the only one.
func beforeWord(s string, all, last int) int {
	if all < len(s) && all > last {
		return all - last
	}
	return all
}

// contraction returns the length of 's 't 're 've 'm 'll 'd at the start of s, or 0. fold
// ignores case; then ſ (U+017F) counts as an s.
func contraction(s string, fold bool) int {
	if len(s) < 2 {
		return 0
	}
	lower := func(i int) byte {
		if i >= len(s) {
			return 0
		}
		if b := s[i]; fold && 'A' <= b && b <= 'Z' {
			return b + 'a' - 'A'
		}
		return s[i]
	}
	switch lower(1) {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if lower(2) == 'e' {
			return 3
		}
	case 'l':
		if lower(2) == 'l' {
			return 3
		}
	case "ſ"[0]:
		if fold && len(s) > 2 && s[2] == "ſ"[1] {
			return 3
		}
	}
	return 0
}
