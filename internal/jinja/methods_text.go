package jinja

import (
	"errors"
	"math"
	"slices"
	"strings"
	"unicode"
)

// methodOfText is a method of a string: t is the string, a are the arguments.
type methodOfText func(r *renderer, t Text, a *args) (Value, error)

// textMethods are the methods of Python's str, by name.
var textMethods = map[string]methodOfText{
	"upper": mapped(strings.ToUpper), "lower": mapped(strings.ToLower), "casefold": mapped(strings.ToLower),
	"title": cased(true), "capitalize": cased(false),
	"strip": strips(true, true), "lstrip": strips(true, false), "rstrip": strips(false, true),
	"isdigit": consistsOf(unicode.IsDigit), "isnumeric": consistsOf(unicode.IsNumber), "isdecimal": consistsOf(unicode.IsDigit), "isalpha": consistsOf(unicode.IsLetter), "isspace": consistsOf(unicode.IsSpace),
	"isalnum": consistsOf(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
	"isupper": func(r *renderer, t Text, a *args) (Value, error) {
		return isCase(t.s, strings.ToUpper, strings.ToLower), nil
	},
	"islower": func(r *renderer, t Text, a *args) (Value, error) {
		return isCase(t.s, strings.ToLower, strings.ToUpper), nil
	},
	"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
	"removeprefix": textRemovePrefix, "removesuffix": textRemoveSuffix,
	"find": find(false, false), "rfind": find(true, false), "index": find(false, true), "rindex": find(true, true),
	"partition": partition(false), "rpartition": partition(true),
	"ljust": pad(false, true), "rjust": pad(true, false), "center": pad(true, true), "zfill": textZfill,
	"split": split(false), "rsplit": split(true), "splitlines": textSplitLines,
	"count": textCount, "replace": textReplace, "join": textJoin, "format": formatMethod,
}

// mapped returns a method that applies f to the text.
func mapped(f func(string) string) methodOfText {
	return func(r *renderer, t Text, a *args) (Value, error) { return t.mapped(f), nil }
}

// strips returns strip for the left end, the right end or both.
func strips(left, right bool) methodOfText {
	return func(r *renderer, t Text, a *args) (Value, error) {
		p, err := a.bind("chars")
		if err != nil {
			return nil, err
		}
		return strip(r, t, or(p[0], nil), left, right)
	}
}

// consistsOf returns a method that reports whether the text has characters and f holds for all.
func consistsOf(f func(rune) bool) methodOfText {
	return func(r *renderer, t Text, a *args) (Value, error) {
		return t.s != "" && strings.IndexFunc(t.s, func(c rune) bool { return !f(c) }) < 0, nil
	}
}

// affix returns startswith or endswith, whose argument may be a tuple of texts.
func affix(has func(s, part string) bool) methodOfText {
	return func(r *renderer, t Text, a *args) (Value, error) {
		p, err := a.bind("prefix")
		if err != nil {
			return nil, err
		}
		parts := []Value{p[0]}
		if l, ok := p[0].(*List); ok && l.Tuple {
			parts = l.Items
		}
		for _, v := range parts {
			part, err := wantText(v, "the argument")
			if err != nil {
				return nil, err
			}
			if has(t.s, part.s) {
				return true, nil
			}
		}
		return false, r.step(len(parts))
	}
}

// find returns a method that searches for a text from the left, or for its last place, and returns its
// position in characters. If there is none: an error with must, else −1.
func find(last, must bool) methodOfText {
	return func(r *renderer, t Text, a *args) (Value, error) {
		p, err := a.bind("sub")
		if err != nil {
			return nil, err
		}
		sub, err := wantText(p[0], "the argument")
		if err != nil {
			return nil, err
		}
		k := strings.Index(t.s, sub.s)
		if last {
			k = strings.LastIndex(t.s, sub.s)
		}
		if k < 0 && must {
			return nil, errors.New("the text is not in the string")
		}
		if k > 0 {
			k = len([]rune(t.s[:k]))
		}
		return int64(k), nil
	}
}

// partition returns a method that divides the text at the first separator, or at the last one, into
// what is before it, the separator and what is after it.
func partition(last bool) methodOfText {
	return func(r *renderer, t Text, a *args) (Value, error) {
		p, err := a.bind("sep")
		if err != nil {
			return nil, err
		}
		sep, err := wantText(p[0], "the separator")
		if err != nil {
			return nil, err
		}
		k := strings.Index(t.s, sep.s)
		if last {
			k = strings.LastIndex(t.s, sep.s)
		}
		parts := []Value{t, Text{}, Text{}}
		switch {
		case k >= 0:
			parts = []Value{t.slice(0, k), t.slice(k, k+len(sep.s)), t.slice(k+len(sep.s), len(t.s))}
		case last:
			parts = []Value{Text{}, Text{}, t}
		}
		return &List{Items: parts, Tuple: true}, nil
	}
}

// pad returns a method that fills the text up to a width, on the left, on the right or on both sides.
func pad(left, right bool) methodOfText {
	return func(r *renderer, t Text, a *args) (Value, error) {
		p, err := a.bind("width", "fillchar")
		if err != nil {
			return nil, err
		}
		n, err := wantInt(p[0], "the width")
		if err != nil {
			return nil, err
		}
		fill, err := wantText(or(p[1], Template(" ")), "the fill")
		if err != nil {
			return nil, err
		}
		n -= len([]rune(t.s))
		if n <= 0 {
			return t, nil
		}
		before := n
		switch {
		case left && right:
			before = n / 2
		case !left:
			before = 0
		}
		l, err := r.repeat(fill, int64(before))
		if err != nil {
			return nil, err
		}
		rest, err := r.repeat(fill, int64(n-before))
		if err != nil {
			return nil, err
		}
		return concat(concat(l.(Text), t), rest.(Text)), r.made(len(t.s) + n*len(fill.s))
	}
}

// textCount is str.count: how often the argument occurs, without overlap.
func textCount(r *renderer, t Text, a *args) (Value, error) {
	p, err := a.bind("sub")
	if err != nil {
		return nil, err
	}
	sub, err := wantText(p[0], "the argument")
	return int64(strings.Count(t.s, sub.s)), err
}

// textReplace is str.replace.
func textReplace(r *renderer, t Text, a *args) (Value, error) {
	p, err := a.bind("old", "new", "count")
	if err != nil {
		return nil, err
	}
	old, err := wantText(p[0], "the text to replace")
	if err != nil {
		return nil, err
	}
	with, err := wantText(p[1], "what to replace it by")
	if err != nil {
		return nil, err
	}
	n, err := wantInt(or(p[2], int64(-1)), "count")
	if err != nil {
		return nil, err
	}
	return r.replace(t, old, with, n)
}

// textJoin is str.join: the text is put between the items.
func textJoin(r *renderer, t Text, a *args) (Value, error) {
	p, err := a.bind("iterable")
	if err != nil {
		return nil, err
	}
	items, err := r.counted(p[0])
	if err != nil {
		return nil, err
	}
	return r.join(t, items, true)
}

// textSplitLines is str.splitlines.
func textSplitLines(r *renderer, t Text, a *args) (Value, error) {
	p, err := a.bind("keepends")
	if err != nil {
		return nil, err
	}
	return texts(r, splitLines(t, truthy(or(p[0], false))))
}

// textRemovePrefix is str.removeprefix.
func textRemovePrefix(r *renderer, t Text, a *args) (Value, error) {
	p, err := a.bind("prefix")
	if err != nil {
		return nil, err
	}
	x, err := wantText(p[0], "the prefix")
	if err == nil && strings.HasPrefix(t.s, x.s) {
		return t.slice(len(x.s), len(t.s)), nil
	}
	return t, err
}

// textRemoveSuffix is str.removesuffix.
func textRemoveSuffix(r *renderer, t Text, a *args) (Value, error) {
	p, err := a.bind("suffix")
	if err != nil {
		return nil, err
	}
	x, err := wantText(p[0], "the suffix")
	if err == nil && strings.HasSuffix(t.s, x.s) {
		return t.slice(0, len(t.s)-len(x.s)), nil
	}
	return t, err
}

// textZfill is str.zfill: zeros are put before the digits, but after a sign.
func textZfill(r *renderer, t Text, a *args) (Value, error) {
	p, err := a.bind("width")
	if err != nil {
		return nil, err
	}
	n, err := wantInt(p[0], "the width")
	if err != nil {
		return nil, err
	}
	zeros, err := r.repeat(Template("0"), int64(n-len([]rune(t.s))))
	if err != nil {
		return nil, err
	}
	sign := 0
	if t.s != "" && (t.s[0] == '-' || t.s[0] == '+') {
		sign = 1
	}
	return concat(concat(t.slice(0, sign), zeros.(Text)), t.slice(sign, len(t.s))), nil
}

// texts is the list of parts.
func texts(r *renderer, parts []Text) (Value, error) {
	l := &List{}
	for _, t := range parts {
		l.Items = append(l.Items, t)
	}
	return l, r.step(len(parts))
}

// cased returns the method title (with words) or capitalize: the first letter of each word, or
// of the text, in upper case and the others in lower case.
func cased(words bool) methodOfText {
	return func(r *renderer, t Text, a *args) (Value, error) {
		inWord := false
		return t.mapped(func(s string) string {
			return strings.Map(func(c rune) rune {
				first := !inWord
				inWord = !words || unicode.IsLetter(c)
				if first {
					return unicode.ToTitle(c)
				}
				return unicode.ToLower(c)
			}, s)
		}), nil
	}
}

// strip removes white space, or the given characters, from the ends.
func strip(r *renderer, t Text, chars Value, left, right bool) (Value, error) {
	cut := func(c rune) bool { return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f } // str.isspace
	if chars != nil {
		set, err := wantText(chars, "the characters")
		if err != nil {
			return nil, err
		}
		cut = func(c rune) bool { return strings.ContainsRune(set.s, c) }
		if err := r.made(min(len(set.s)*len(t.s)/16, math.MaxInt32)); err != nil {
			return nil, err
		}
	}
	from, to := 0, len(t.s)
	if left {
		from = to - len(strings.TrimLeftFunc(t.s, cut))
	}
	if right {
		to = max(from, len(strings.TrimRightFunc(t.s, cut)))
	}
	return t.slice(from, to), nil
}

// split returns str.split or, from the right, str.rsplit.
func split(right bool) methodOfText {
	return func(r *renderer, t Text, a *args) (Value, error) {
		p, err := a.bind("sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		most, err := wantInt(or(p[1], int64(-1)), "maxsplit")
		if err != nil {
			return nil, err
		}
		var parts []Text
		if sep := or(p[0], nil); sep != nil {
			parts, err = r.splitAt(t, sep, most, right)
		} else {
			parts, err = r.splitAtSpace(t, most, right)
		}
		if err != nil {
			return nil, err
		}
		if right {
			slices.Reverse(parts)
		}
		return texts(r, parts)
	}
}

// splitAt divides a text at each separator, but most times at the most (−1: no limit). From the right the
// parts are in reverse order.
func (r *renderer) splitAt(t Text, separator Value, most int, right bool) ([]Text, error) {
	sep, err := wantText(separator, "the separator")
	if err != nil {
		return nil, err
	}
	if sep.s == "" {
		return nil, errors.New("the separator is empty")
	}
	if err := r.step(strings.Count(t.s, sep.s)); err != nil {
		return nil, err
	}
	var parts []Text
	rest := t
	for most < 0 || len(parts) < most {
		k := strings.Index(rest.s, sep.s)
		if right {
			k = strings.LastIndex(rest.s, sep.s)
		}
		if k < 0 {
			break
		}
		before, after := rest.slice(0, k), rest.slice(k+len(sep.s), len(rest.s))
		if right {
			parts, rest = append(parts, after), before
		} else {
			parts, rest = append(parts, before), after
		}
		if err := r.step(1 + len(rest.user)); err != nil {
			return nil, err
		}
	}
	return append(parts, rest), nil
}

// splitAtSpace is splitAt for runs of white space, which is also removed from both ends.
func (r *renderer) splitAtSpace(t Text, most int, right bool) ([]Text, error) {
	var parts []Text
	for rest := t; ; {
		trimmed, _ := strip(r, rest, nil, true, true)
		if rest = trimmed.(Text); rest.s == "" {
			return parts, nil
		}
		k := strings.IndexFunc(rest.s, unicode.IsSpace)
		if right {
			k = strings.LastIndexFunc(rest.s, unicode.IsSpace)
		}
		if k < 0 || most >= 0 && len(parts) >= most {
			return append(parts, rest), nil
		}
		if right {
			size := len(string([]rune(rest.s[k:])[:1]))
			parts, rest = append(parts, rest.slice(k+size, len(rest.s))), rest.slice(0, k)
		} else {
			parts, rest = append(parts, rest.slice(0, k)), rest.slice(k, len(rest.s))
		}
		if err := r.step(1 + len(rest.user) + len(rest.s)/256); err != nil {
			return nil, err
		}
	}
}
