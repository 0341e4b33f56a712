package constrain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// notSpace is \S as ECMA 262 has it: Go's \s is the blanks of ASCII only.
const notSpace = `[^\s\x{b}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]`

// fromECMA writes an expression of ECMA 262, which JSON Schema has, in Go's syntax, as
// far as the two differ in a way that Go has words for.
func fromECMA(pattern string) string {
	var b strings.Builder
	class := false // within brackets
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '[' && !class:
			class = true
			b.WriteByte(c)
		case c == '[':
			b.WriteString(`\[`)
		case c == ']':
			class = false
			b.WriteByte(c)
		case c != '\\' || i+1 == len(pattern):
			b.WriteByte(c)
		default:
			text, n := ecmaEscape(pattern[i+1:], class)
			b.WriteString(text)
			i += n
		}
	}
	return b.String()
}

// ecmaEscape translates what stands behind a backslash, of which it takes n bytes.
func ecmaEscape(s string, class bool) (text string, n int) {
	switch {
	case s[0] == '/':
		return "/", 1
	case s[0] == 'S' && !class:
		return notSpace, 1
	case s[0] == 'c' && len(s) > 1 && (s[1]|0x20) >= 'a' && (s[1]|0x20) <= 'z':
		return fmt.Sprintf(`\x{%x}`, s[1]&0x1f), 2
	case s[0] == 'u' && len(s) > 2 && s[1] == '{':
		if end := strings.IndexByte(s, '}'); end > 0 {
			return `\x` + s[1:end+1], end + 1
		}
	case s[0] == 'u' && len(s) >= 5:
		r, err := strconv.ParseUint(s[1:5], 16, 16)
		if err != nil {
			break
		}
		if utf16.IsSurrogate(rune(r)) && len(s) >= 11 && s[5:7] == `\u` {
			if low, err := strconv.ParseUint(s[7:11], 16, 16); err == nil {
				return fmt.Sprintf(`\x{%x}`, utf16.DecodeRune(rune(r), rune(low))), 11
			}
		}
		return fmt.Sprintf(`\x{%x}`, r), 5
	}
	return `\` + s[:1], 1
}
