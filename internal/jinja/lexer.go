package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	tokData tokenKind = iota
	tokBlockBegin
	tokBlockEnd
	tokPrintBegin
	tokPrintEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
	tokEOF
)

type token struct {
	kind tokenKind
	text string // data, name, string's value, number's digits, operator
	line int
}

func (t token) String() string {
	switch t.kind {
	case tokData:
		return "text"
	case tokBlockBegin:
		return "{%"
	case tokBlockEnd:
		return "%}"
	case tokPrintBegin:
		return "{{"
	case tokPrintEnd:
		return "}}"
	case tokString:
		return fmt.Sprintf("the string %q", clip(t.text))
	case tokEOF:
		return "the end of the template"
	}
	return fmt.Sprintf("%q", t.text)
}

// SyntaxError is the error of a template that is not valid Jinja, or that uses a part that this
// package leaves out.
type SyntaxError struct {
	Line int
	Msg  string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("chat template, line %d: %s", e.Line, e.Msg) }

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:57], "") + "..."
	}
	return s
}

// lexer cuts a template into tokens, with trim_blocks and lstrip_blocks.
type lexer struct {
	src    string
	at     int
	line   int
	tokens []token
}

func lex(src string) ([]token, error) {
	src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	src = strings.TrimSuffix(src, "\n") // keep_trailing_newline is off
	l := &lexer{src: src, line: 1}
	if err := l.run(); err != nil {
		return nil, err
	}
	return append(l.tokens, token{kind: tokEOF, line: l.line}), nil
}

func (l *lexer) fail(format string, args ...any) error {
	return &SyntaxError{l.line, fmt.Sprintf(format, args...)}
}

func (l *lexer) advance(n int) string {
	s := l.src[l.at : l.at+n]
	l.line += strings.Count(s, "\n")
	l.at += n
	return s
}

func (l *lexer) emit(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind, text, l.line})
}

// trim says what of the text after a tag is removed.
type trim struct {
	space   bool // all white space: the tag ended with a minus
	newline bool // one newline: it was a block or comment (trim_blocks)
}

func (t trim) apply(data string) string {
	switch {
	case t.space:
		return strings.TrimLeftFunc(data, unicode.IsSpace)
	case t.newline:
		return strings.TrimPrefix(data, "\n")
	}
	return data
}

// tagBegin returns where the first {{, {% or {# begins, or the length of s.
func tagBegin(s string) int {
	for i := 0; ; {
		k := strings.IndexByte(s[i:], '{')
		if k < 0 || i+k+1 >= len(s) {
			return len(s)
		}
		if c := s[i+k+1]; c == '{' || c == '%' || c == '#' {
			return i + k
		}
		i += k + 1
	}
}

// run reads text and tags in turn.
func (l *lexer) run() error {
	var after trim
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		begin := tagBegin(rest)
		data := after.apply(rest[:begin])
		if begin == len(rest) {
			l.emitData(data)
			l.advance(len(rest))
			break
		}
		kind := rest[begin+1]
		open := 2
		if begin+2 < len(rest) {
			switch rest[begin+2] {
			case '-':
				data = strings.TrimRightFunc(data, unicode.IsSpace)
				open = 3
			case '+':
				open = 3
			default:
				if kind != '{' { // lstrip_blocks
					data = l.stripIndent(data, l.at+begin)
				}
			}
		}
		l.emitData(data)
		l.advance(begin + open)
		var err error
		switch kind {
		case '#':
			after, err = l.comment()
		case '%':
			after, err = l.block()
		default:
			after, err = l.expression()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// comment skips a comment after its {#.
func (l *lexer) comment() (trim, error) {
	end := strings.Index(l.src[l.at:], "#}")
	if end < 0 {
		return trim{}, l.fail("a comment is not closed; expected #}")
	}
	after := trim{
		space:   end > 0 && l.src[l.at+end-1] == '-',
		newline: end == 0 || l.src[l.at+end-1] != '+',
	}
	l.advance(end + 2)
	return after, nil
}

// block reads a statement after its {%.
func (l *lexer) block() (trim, error) {
	l.emit(tokBlockBegin, "")
	done, minus, err := l.raw()
	if err != nil || done {
		return trim{space: minus, newline: true}, err
	}
	end, err := l.tag("%}")
	if err != nil {
		return trim{}, err
	}
	l.emit(tokBlockEnd, "")
	return trim{space: end == '-', newline: end != '+'}, nil
}

// expression reads a printed expression after its {{.
func (l *lexer) expression() (trim, error) {
	l.emit(tokPrintBegin, "")
	end, err := l.tag("}}")
	if err != nil {
		return trim{}, err
	}
	l.emit(tokPrintEnd, "")
	return trim{space: end == '-'}, nil
}

func (l *lexer) emitData(s string) {
	if s != "" {
		l.emit(tokData, s)
	}
}

// stripIndent removes the white space between the beginning of a line and a tag.
func (l *lexer) stripIndent(data string, tagAt int) string {
	cut := strings.TrimRight(data, " \t")
	before := l.src[:tagAt-(len(data)-len(cut))]
	if before == "" || strings.HasSuffix(before, "\n") {
		return cut
	}
	return data
}

// raw reads {% raw %}…{% endraw %} after "{%", if that follows.
func (l *lexer) raw() (done, minus bool, err error) {
	rest := l.src[l.at:]
	body := strings.TrimLeftFunc(rest, unicode.IsSpace)
	if !strings.HasPrefix(body, "raw") {
		return false, false, nil
	}
	body = strings.TrimLeftFunc(body[3:], unicode.IsSpace)
	strip := strings.HasPrefix(body, "-%}")
	if strip {
		body = body[1:]
	}
	if !strings.HasPrefix(body, "%}") {
		return false, false, nil
	}
	body = body[2:]
	from := len(rest) - len(body)
	for i := 0; ; {
		k := strings.Index(body[i:], "{%")
		if k < 0 {
			return false, false, l.fail("raw is not closed; expected {%% endraw %%}")
		}
		i += k
		tag := strings.TrimPrefix(body[i+2:], "-")
		leftMinus := tag != body[i+2:]
		tag = strings.TrimLeftFunc(tag, unicode.IsSpace)
		if after, ok := strings.CutPrefix(tag, "endraw"); ok {
			after = strings.TrimLeftFunc(after, unicode.IsSpace)
			after, minus = strings.CutPrefix(after, "-")
			if after, ok = strings.CutPrefix(after, "%}"); ok {
				data := body[:i]
				switch {
				case strip:
					data = strings.TrimLeftFunc(data, unicode.IsSpace)
				default:
					data = strings.TrimPrefix(data, "\n")
				}
				if leftMinus {
					data = strings.TrimRightFunc(data, unicode.IsSpace)
				} else {
					data = l.stripIndent(data, l.at+from+i)
				}
				l.tokens = l.tokens[:len(l.tokens)-1] // the "{%"
				l.emitData(data)
				l.advance(len(rest) - len(after))
				return true, minus, nil
			}
		}
		i += 2
	}
}

var operators = []string{"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "[", "]", "(", ")", "{", "}", "<", ">", "=", ".", ",", ":", "|", ";"}

// tag reads the tokens of a tag up to its end, and returns the sign before the end: '-', '+' or
// 0.
func (l *lexer) tag(end string) (sign byte, err error) {
	depth := 0
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		c := rest[0]
		if depth == 0 {
			if strings.HasPrefix(rest, end) {
				l.advance(2)
				return 0, nil
			}
			if (c == '-' || c == '+' && end == "%}") && strings.HasPrefix(rest[1:], end) {
				l.advance(3)
				return c, nil
			}
		}
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case unicode.IsSpace(r):
			l.advance(size)
		case c == '"' || c == '\'':
			if err := l.quoted(c); err != nil {
				return 0, err
			}
		case c >= '0' && c <= '9':
			l.number()
		case r == '_' || unicode.IsLetter(r):
			n := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			if n < 0 {
				n = len(rest)
			}
			l.emit(tokName, rest[:n])
			l.advance(n)
		default:
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(rest, o) {
					op = o
					break
				}
			}
			switch op {
			case "":
				return 0, l.fail("unexpected character %q", r)
			case "(", "[", "{":
				depth++
			case ")", "]", "}":
				depth--
			}
			l.emit(tokOp, op)
			l.advance(len(op))
		}
	}
	return 0, l.fail("the template ends inside a tag; expected %s", end)
}

// number reads 12, 1_000, 1.5, 1e5, 0x1f.
func (l *lexer) number() {
	rest := l.src[l.at:]
	digits := func(i int) int {
		for i < len(rest) && (rest[i] >= '0' && rest[i] <= '9' || rest[i] == '_') {
			i++
		}
		return i
	}
	if len(rest) > 2 && rest[0] == '0' && strings.IndexByte("xXoObB", rest[1]) >= 0 {
		n := 2
		for n < len(rest) && (rest[n] == '_' || unicode.Is(unicode.ASCII_Hex_Digit, rune(rest[n]))) {
			n++
		}
		l.emit(tokInt, rest[:n])
		l.advance(n)
		return
	}
	n, kind := digits(0), tokInt
	if n+1 < len(rest) && rest[n] == '.' && rest[n+1] >= '0' && rest[n+1] <= '9' {
		n, kind = digits(n+1), tokFloat
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		k := n + 1
		if k < len(rest) && (rest[k] == '+' || rest[k] == '-') {
			k++
		}
		if k < len(rest) && rest[k] >= '0' && rest[k] <= '9' {
			n, kind = digits(k), tokFloat
		}
	}
	l.emit(kind, strings.ReplaceAll(rest[:n], "_", ""))
	l.advance(n)
}

// quoted reads a string with Python's escapes.
func (l *lexer) quoted(quote byte) error {
	var b strings.Builder
	s := l.src[l.at:]
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			l.emit(tokString, b.String())
			l.advance(i + 1)
			return nil
		case c != '\\' || i+1 == len(s):
			b.WriteByte(c)
		default:
			i++
			n := unescape(&b, s[i:])
			i += n
		}
	}
	return l.fail("a string is not closed")
}

// unescape writes the character that an escape sequence stands for. s follows the backslash. It
// returns how many bytes after the first it has used.
func unescape(b *strings.Builder, s string) int {
	hex := func(digits int) (rune, bool) {
		if len(s) < 1+digits {
			return 0, false
		}
		var r rune
		for _, c := range []byte(s[1 : 1+digits]) {
			d := strings.IndexByte("0123456789abcdef", c|0x20)
			if c <= '9' {
				d = strings.IndexByte("0123456789", c)
			}
			if d < 0 {
				return 0, false
			}
			r = r<<4 | rune(d)
		}
		return r, true
	}
	simple := map[byte]string{'n': "\n", 't': "\t", 'r': "\r", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\\': "\\", '\'': "'", '"': "\"", '\n': ""}
	if out, ok := simple[s[0]]; ok {
		b.WriteString(out)
		return 0
	}
	for c, digits := range map[byte]int{'x': 2, 'u': 4, 'U': 8} {
		if s[0] == c {
			if r, ok := hex(digits); ok {
				b.WriteRune(r)
				return digits
			}
		}
	}
	if s[0] >= '0' && s[0] <= '7' {
		n, r := 0, rune(0)
		for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '7' {
			r = r<<3 | rune(s[n]-'0')
			n++
		}
		b.WriteRune(r)
		return n - 1
	}
	b.WriteByte('\\')
	b.WriteByte(s[0])
	return 0
}
