package input

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// PlainText returns an error for data that is not UTF-8 text as it should be: with a byte order
// mark, with a NUL, or with bytes that are none.
func PlainText(data []byte) error {
	if bytes.HasPrefix(data, bom) {
		return errors.New("begins with a byte order mark (the bytes EF BB BF), which would count as text; save it as UTF-8 without one")
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return fmt.Errorf("is not text: byte %d is NUL; fetch or copy it again", i)
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return fmt.Errorf("is not UTF-8: byte %d is 0x%02x; fetch or copy it again", i, data[i])
		}
		i += n
	}
	return nil
}
