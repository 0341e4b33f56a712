package tokenizer

import "strings"

// Byte-level vocabularies represent bytes by printable characters: printable Latin-1
// characters represent themselves, the others are numbered from U+0100 (GPT-2's
// bytes_to_unicode).
var (
	byteToRune [256]rune
	runeToByte = make(map[rune]byte, 256)
)

func init() {
	extra := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE) {
			r = extra
			extra++
		}
		byteToRune[b] = r
		runeToByte[r] = byte(b)
	}
}

// mapBytes encodes bytes in the characters of a byte-level vocabulary.
func mapBytes(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/4)
	for i := 0; i < len(s); i++ {
		b.WriteRune(byteToRune[s[i]])
	}
	return b.String()
}

// unmapBytes is the inverse; ok is false if s contains any other character.
func unmapBytes(s string) (bytes string, ok bool) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		c, ok := runeToByte[r]
		if !ok {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}
