package tokenizer

import (
	"fmt"
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/specquant/specquant/internal/plural"
)

// A pattern in a file determines how long the regular-expression engine searches, because
// it backtracks through every way of matching. Two limits apply:
//
//   - [checkRepeats] refuses, from the pattern alone, whatever can take time exponential in
//     the text: a repeated group that can match the same text in more than one way. No
//     published tokenizer has one.
//   - The rest takes polynomial time; published patterns take linear time. [regexBudget] is
//     the time allowed for a text, a few hundred times what such a pattern needs.
const (
	regexMatchTime = 5 * time.Second       // to find one match
	regexPerByte   = 20 * time.Microsecond // in addition, for each byte of the text
)

// regexBudget is the time that all matches of a pattern in a text may take.
func regexBudget(bytes int) time.Duration {
	return regexMatchTime + time.Duration(bytes)*regexPerByte
}

// group describes a group of a pattern, or the whole pattern.
type group struct {
	varies bool // its length is variable: it contains a repetition or alternatives
	atomic bool // no backtracking into what it has matched
}

// checkRepeats refuses a repeated group of variable length, such as (a+)+ or (a|ab)*: the
// engine may try every way of dividing a text into such parts. The pattern must have passed
// [checkRegex].
func checkRepeats(p string) error {
	open := []group{{}}
	closed := group{} // the last item, if it was a group
	isGroup := false
	for i := 0; i < len(p); {
		top := &open[len(open)-1]
		switch c := p[i]; c {
		case '(':
			open = append(open, group{atomic: strings.HasPrefix(p[i:], "(?>")})
			i++
			if i < len(p) && p[i] == '?' { // not a quantifier
				i++
			}
			isGroup = false
		case ')':
			i++
			if len(open) == 1 {
				return nil // the engine will report the error
			}
			closed, isGroup = *top, true
			open = open[:len(open)-1]
			if closed.varies {
				open[len(open)-1].varies = true
			}
		case '|':
			top.varies, isGroup = true, false
			i++
		case '*', '+', '?', '{':
			n, least, most := quantifier(p[i:])
			if n == 0 { // the brace is not a quantifier
				i++
				isGroup = false
				continue
			}
			if isGroup && closed.varies && !closed.atomic && most > 1 {
				return fmt.Errorf("repeats a group (… )%s that holds a repetition or alternatives, which can take for ever on some texts; no such pattern is supported", p[i:i+n])
			}
			top.varies = top.varies || least != most
			i += n
			if i < len(p) && (p[i] == '?' || p[i] == '+') { // lazy, possessive
				i++
			}
			isGroup = false
		case '[':
			i = classEnd(p, i)
			isGroup = false
		case '\\':
			if i+2 < len(p) && (p[i+1] == 'p' || p[i+1] == 'P') {
				i += strings.IndexByte(p[i:], '}') + 1
			} else {
				i += 2
			}
			isGroup = false
		default:
			i++
			isGroup = false
		}
	}
	return nil
}

// classEnd is the position after the set that begins at i.
func classEnd(p string, i int) int {
	for i++; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case ']':
			return i + 1
		}
	}
	return len(p)
}

// quantifier reads the quantifier at the beginning of s: its length n and its limits; most
// is above 1 if there is no upper limit; n is 0 if there is no quantifier.
func quantifier(s string) (n, least, most int) {
	switch s[0] {
	case '*':
		return 1, 0, 2
	case '+':
		return 1, 1, 2
	case '?':
		return 1, 0, 1
	}
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return 0, 0, 0
	}
	low, high, ranged := strings.Cut(s[1:end], ",")
	number := func(digits string) (v int, ok bool) {
		for _, d := range digits {
			if d < '0' || d > '9' {
				return 0, false
			}
			v = min(v*10+int(d-'0'), 1<<20)
		}
		return v, digits != ""
	}
	least, ok := number(low)
	if !ok {
		return 0, 0, 0
	}
	if !ranged {
		return end + 1, least, least
	}
	if most, ok = number(high); !ok {
		most = max(least, 1) + 1
	}
	return end + 1, least, most
}

// slowRegex is the error for a pattern that has exceeded its time.
func slowRegex(pattern string, bytes int, limit time.Duration) error {
	return fmt.Errorf("split pattern %q took more than %v on a text of %s, the limit; it may take for ever on this text", clip(pattern), limit, plural.Of(bytes, "byte"))
}

// regexFinder iterates over the matches of a pattern within the time allowed.
type regexFinder struct {
	re    *regexp2.Regexp
	bytes int
	end   time.Time
}

func newRegexFinder(re *regexp2.Regexp, text string) *regexFinder {
	return &regexFinder{re, len(text), time.Now().Add(regexBudget(len(text)))}
}

// check converts the engine's error, or a timeout, to an error with the pattern.
func (f *regexFinder) check(err error) error {
	switch {
	case err != nil && strings.Contains(err.Error(), "timeout"):
		return slowRegex(f.re.String(), f.bytes, regexMatchTime)
	case err != nil:
		return fmt.Errorf("split pattern %q: %w", clip(f.re.String()), err)
	case time.Now().After(f.end):
		return slowRegex(f.re.String(), f.bytes, regexBudget(f.bytes))
	}
	return nil
}
