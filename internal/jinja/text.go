package jinja

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Span is the range of bytes from From up to but not including To.
type Span struct{ From, To int }

// Text is a string that knows which of its bytes came from the conversation
// rather than from the template. The zero value is the empty text.
type Text struct {
	s    string
	user []Span // in order, none empty, none touching the next
	safe bool   // made by the filter safe or escape: text that + joins to it is escaped for HTML
}

// Template returns text that comes from the template, or that is trusted like it.
func Template(s string) Text { return Text{s: s} }

// User returns text that comes from the conversation.
func User(s string) Text {
	if s == "" {
		return Text{}
	}
	return Text{s: s, user: []Span{{0, len(s)}}}
}

// String is the text without its provenance.
func (t Text) String() string { return t.s }

// User returns the spans of bytes that came from the conversation, in order.
func (t Text) User() []Span { return t.user }

// slice is the bytes from up to to.
func (t Text) slice(from, to int) Text {
	out := Text{s: t.s[from:to]}
	if from == to || len(t.user) == 0 {
		return out
	}
	if from == 0 && to == len(t.s) {
		return t
	}
	first, _ := slices.BinarySearchFunc(t.user, from, func(u Span, from int) int { return cmp.Compare(u.To, from+1) })
	for _, u := range t.user[first:] {
		if u.From >= to {
			break
		}
		out.user = append(out.user, Span{max(u.From, from) - from, min(u.To, to) - from})
	}
	return out
}

// runes cuts the text into its characters.
func (t Text) runes() []Text {
	out := make([]Text, 0, len(t.s))
	for i := 0; i < len(t.s); {
		_, n := utf8.DecodeRuneInString(t.s[i:])
		out = append(out, t.slice(i, i+n))
		i += n
	}
	return out
}

// mapped applies f, which changes single characters, to each part of the text that has one
// provenance.
func (t Text) mapped(f func(string) string) Text {
	var b builder
	t.stretches(func(part string, user bool) { b.add(f(part), user) })
	return b.text()
}

// stretches calls f for each part of the text that has one provenance.
func (t Text) stretches(f func(part string, user bool)) {
	at := 0
	for _, u := range t.user {
		if at < u.From {
			f(t.s[at:u.From], false)
		}
		f(t.s[u.From:u.To], true)
		at = u.To
	}
	if at < len(t.s) {
		f(t.s[at:], false)
	}
}

// builder joins texts.
type builder struct {
	s    strings.Builder
	user []Span
}

func (b *builder) len() int { return b.s.Len() }

// add appends text of one provenance.
func (b *builder) add(s string, user bool) {
	if s == "" {
		return
	}
	if user {
		b.mark(b.s.Len(), b.s.Len()+len(s))
	}
	b.s.WriteString(s)
}

func (b *builder) mark(from, to int) {
	if n := len(b.user); n > 0 && b.user[n-1].To == from {
		b.user[n-1].To = to
		return
	}
	b.user = append(b.user, Span{from, to})
}

// write appends a text.
func (b *builder) write(t Text) {
	at := b.s.Len()
	for _, u := range t.user {
		b.mark(at+u.From, at+u.To)
	}
	b.s.WriteString(t.s)
}

func (b *builder) text() Text { return Text{s: b.s.String(), user: b.user} }

// concat joins two texts.
func concat(a, b Text) Text {
	switch {
	case a.s == "":
		return b
	case b.s == "":
		return a
	case len(a.user) == 0 && len(b.user) == 0:
		return Text{s: a.s + b.s}
	}
	var out builder
	out.s.Grow(len(a.s) + len(b.s))
	out.write(a)
	out.write(b)
	return out.text()
}

// Cut returns the first n bytes.
func (t Text) Cut(n int) Text { return t.slice(0, n) }
