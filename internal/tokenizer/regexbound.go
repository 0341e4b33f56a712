package tokenizer

import (
	"fmt"
	"strings"
	"time"

	"github.com/dlclark/regexp2"
)

// A pattern of a file decides how long the engine searches, which goes back to try
// every way of matching. Two things bound it:
//
//   - [checkRepeats] refuses, by the pattern alone, what can take time exponential in
//     the text: a repeated group that can match the same text in more than one way.
//     No published tokenizer has one.
//   - What is left is polynomial, and of a published pattern linear. [regexBudget] is
//     the time that a text may take, some hundred times what such a pattern needs.
const (
	regexMatchTime = 5 * time.Second       // for finding one match
	regexPerByte   = 20 * time.Microsecond // on top of it, for each byte of the text
)

// regexBudget is the time that all matches of a pattern in a text may take.
func regexBudget(bytes int) time.Duration {
	return regexMatchTime + time.Duration(bytes)*regexPerByte
}

// group is what has been seen of a group of a pattern, or of the pattern itself.
type group struct {
	varies bool // its length is open: something in it is repeated, or there are alternatives
	atomic bool // what it has matched stays matched: nothing is tried again
}

// checkRepeats refuses a group that is repeated and whose own length is open, such as
// (a+)+ or (a|ab)*: the engine may try every way of cutting a text into such parts.
// The pattern has been through [checkRegex].
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
				return nil // the engine will say what is wrong
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
			if n == 0 { // a brace that is none
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

// classEnd is the place behind the set that begins at i.
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

// quantifier reads the quantifier that s begins with: its length and what it
// permits, most being above 1 where it is open; n is 0 if there is none.
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

// slowRegex is the error of a pattern that has taken more than its time.
func slowRegex(pattern string, bytes int, limit time.Duration) error {
	return fmt.Errorf("split pattern %q took more than %v on a text of %d bytes, the limit; it may take for ever on this text", clip(pattern), limit, bytes)
}

// regexFinder goes through the matches of a pattern within the time allowed.
type regexFinder struct {
	re    *regexp2.Regexp
	bytes int
	end   time.Time
}

func newRegexFinder(re *regexp2.Regexp, text string) *regexFinder {
	return &regexFinder{re, len(text), time.Now().Add(regexBudget(len(text)))}
}

// check makes the engine's error, or the end of the time, an error in words.
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
