package jinja

import (
	"errors"
	"math"
	"strings"
	"unicode"
)

// method returns a method of a value, bound to it; nil if there is none of that name. Methods
// that would change the value in place return an error when called, as in Jinja's sandbox.
func method(of Value, n string) *function {
	switch of := of.(type) {
	case Text:
		if f := textMethods[n]; f != nil {
			return &function{n, func(r *renderer, a *args) (Value, error) {
				if err := r.made(len(of.s)); err != nil {
					return nil, err
				}
				return f(r, of, a)
			}}
		}
	case *Dict:
		if f := dictMethods[n]; f != nil {
			return &function{n, func(r *renderer, a *args) (Value, error) { return f(r, of, a) }}
		}
		if strings.Contains(" clear pop popitem setdefault update ", " "+n+" ") {
			return changing(n)
		}
	case *List:
		switch n {
		case "index", "count":
			return &function{n, func(r *renderer, a *args) (Value, error) { return listFind(r, of, n == "count", a) }}
		case "copy":
			return &function{n, func(r *renderer, a *args) (Value, error) { return filterList(r, of, a) }}
		}
		if !of.Tuple && strings.Contains(" append clear extend insert pop remove reverse sort ", " "+n+" ") {
			return changing(n)
		}
	}
	return nil
}

func changing(n string) *function {
	return &function{n, func(*renderer, *args) (Value, error) {
		return nil, errors.New("would change a value in place, which chat templates are not allowed to do")
	}}
}

func listFind(r *renderer, l *List, count bool, a *args) (Value, error) {
	p, err := a.bind("value")
	if err != nil {
		return nil, err
	}
	n := int64(0)
	for i, it := range l.Items {
		same, err := r.equal(it, p[0])
		if err != nil {
			return nil, err
		}
		if same && !count {
			return int64(i), nil
		}
		n += int64(b2i(same))
	}
	if !count {
		return nil, errors.New("the value is not in the list")
	}
	return n, nil
}

var dictMethods map[string]func(r *renderer, d *Dict, a *args) (Value, error)

func init() {
	dictMethods = map[string]func(r *renderer, d *Dict, a *args) (Value, error){
		"get": func(r *renderer, d *Dict, a *args) (Value, error) {
			p, err := a.bind("key", "default")
			if err != nil {
				return nil, err
			}
			if v, ok := d.get(p[0]); ok {
				return v, nil
			}
			return or(p[1], nil), nil
		},
		"items": func(r *renderer, d *Dict, a *args) (Value, error) { return r.pairs(d) },
		"keys":  func(r *renderer, d *Dict, a *args) (Value, error) { return filterList(r, d, a) },
		"values": func(r *renderer, d *Dict, a *args) (Value, error) {
			return list(append([]Value(nil), d.values...)...), r.step(d.Len())
		},
		"copy": func(r *renderer, d *Dict, a *args) (Value, error) { return d.Copy(), r.step(d.Len()) },
	}
}

var textMethods map[string]func(r *renderer, t Text, a *args) (Value, error)

func init() {
	plain := func(f func(string) string) func(*renderer, Text, *args) (Value, error) {
		return func(r *renderer, t Text, a *args) (Value, error) { return t.mapped(f), nil }
	}
	strips := func(left, right bool) func(*renderer, Text, *args) (Value, error) {
		return func(r *renderer, t Text, a *args) (Value, error) {
			p, err := a.bind("chars")
			if err != nil {
				return nil, err
			}
			return strip(r, t, or(p[0], nil), left, right)
		}
	}
	is := func(f func(rune) bool) func(*renderer, Text, *args) (Value, error) {
		return func(r *renderer, t Text, a *args) (Value, error) {
			return t.s != "" && strings.IndexFunc(t.s, func(c rune) bool { return !f(c) }) < 0, nil
		}
	}
	affix := func(has func(s, part string) bool) func(*renderer, Text, *args) (Value, error) {
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
	find := func(last, must bool) func(*renderer, Text, *args) (Value, error) {
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
	partition := func(last bool) func(*renderer, Text, *args) (Value, error) {
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
	pad := func(left, right bool) func(*renderer, Text, *args) (Value, error) {
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
	textMethods = map[string]func(r *renderer, t Text, a *args) (Value, error){
		"upper": plain(strings.ToUpper), "lower": plain(strings.ToLower), "casefold": plain(strings.ToLower),
		"title": cased(true), "capitalize": cased(false),
		"strip": strips(true, true), "lstrip": strips(true, false), "rstrip": strips(false, true),
		"isdigit": is(unicode.IsDigit), "isnumeric": is(unicode.IsNumber), "isdecimal": is(unicode.IsDigit), "isalpha": is(unicode.IsLetter), "isspace": is(unicode.IsSpace),
		"isalnum": is(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
		"isupper": func(r *renderer, t Text, a *args) (Value, error) {
			return isCase(t.s, strings.ToUpper, strings.ToLower), nil
		},
		"islower": func(r *renderer, t Text, a *args) (Value, error) {
			return isCase(t.s, strings.ToLower, strings.ToUpper), nil
		},
		"startswith": affix(strings.HasPrefix), "endswith": affix(strings.HasSuffix),
		"find": find(false, false), "rfind": find(true, false), "index": find(false, true), "rindex": find(true, true),
		"partition": partition(false), "rpartition": partition(true),
		"ljust": pad(false, true), "rjust": pad(true, false), "center": pad(true, true),
		"split": split(false), "rsplit": split(true),
		"format": formatMethod,
		"count": func(r *renderer, t Text, a *args) (Value, error) {
			p, err := a.bind("sub")
			if err != nil {
				return nil, err
			}
			sub, err := wantText(p[0], "the argument")
			return int64(strings.Count(t.s, sub.s)), err
		},
		"replace": func(r *renderer, t Text, a *args) (Value, error) {
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
		},
		"join": func(r *renderer, t Text, a *args) (Value, error) {
			p, err := a.bind("iterable")
			if err != nil {
				return nil, err
			}
			items, err := r.counted(p[0])
			if err != nil {
				return nil, err
			}
			return r.join(t, items, true)
		},
		"splitlines": func(r *renderer, t Text, a *args) (Value, error) {
			p, err := a.bind("keepends")
			if err != nil {
				return nil, err
			}
			return texts(r, splitLines(t, truthy(or(p[0], false))))
		},
		"removeprefix": func(r *renderer, t Text, a *args) (Value, error) {
			p, err := a.bind("prefix")
			if err != nil {
				return nil, err
			}
			x, err := wantText(p[0], "the prefix")
			if err == nil && strings.HasPrefix(t.s, x.s) {
				return t.slice(len(x.s), len(t.s)), nil
			}
			return t, err
		},
		"removesuffix": func(r *renderer, t Text, a *args) (Value, error) {
			p, err := a.bind("suffix")
			if err != nil {
				return nil, err
			}
			x, err := wantText(p[0], "the suffix")
			if err == nil && strings.HasSuffix(t.s, x.s) {
				return t.slice(0, len(t.s)-len(x.s)), nil
			}
			return t, err
		},
		"zfill": func(r *renderer, t Text, a *args) (Value, error) {
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
		},
	}
}

func texts(r *renderer, parts []Text) (Value, error) {
	l := &List{}
	for _, t := range parts {
		l.Items = append(l.Items, t)
	}
	return l, r.step(len(parts))
}

// cased returns the method title (with words) or capitalize: the first letter of each word, or
// of the text, in upper case and the others in lower case.
func cased(words bool) func(*renderer, Text, *args) (Value, error) {
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

// split is str.split and, from the right, str.rsplit.
func split(right bool) func(*renderer, Text, *args) (Value, error) {
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
			s, err := wantText(sep, "the separator")
			if err != nil {
				return nil, err
			}
			if s.s == "" {
				return nil, errors.New("the separator is empty")
			}
			if err := r.step(strings.Count(t.s, s.s)); err != nil {
				return nil, err
			}
			rest := t
			for most < 0 || len(parts) < most {
				k := strings.Index(rest.s, s.s)
				if right {
					k = strings.LastIndex(rest.s, s.s)
				}
				if k < 0 {
					break
				}
				before, after := rest.slice(0, k), rest.slice(k+len(s.s), len(rest.s))
				if right {
					parts, rest = append(parts, after), before
				} else {
					parts, rest = append(parts, before), after
				}
				if err := r.step(1 + len(rest.user)); err != nil {
					return nil, err
				}
			}
			parts = append(parts, rest)
		} else {
			rest := t
			for {
				trimmed, _ := strip(r, rest, nil, true, true)
				if rest = trimmed.(Text); rest.s == "" {
					break
				}
				k := strings.IndexFunc(rest.s, unicode.IsSpace)
				if right {
					k = strings.LastIndexFunc(rest.s, unicode.IsSpace)
				}
				if k < 0 || most >= 0 && len(parts) >= most {
					parts = append(parts, rest)
					break
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
		if right {
			for i, k := 0, len(parts)-1; i < k; i, k = i+1, k-1 {
				parts[i], parts[k] = parts[k], parts[i]
			}
		}
		return texts(r, parts)
	}
}
