package recipe

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// guarded calls a function of the YAML library, which panics on some malformed
// documents (a tag without a value before a type that reads itself), and makes
// that an error.
func guarded(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML is malformed in a way that its reader does not survive (%v); look for a tag such as !x without a value", p)
		}
	}()
	return call()
}

// yamlError is the library's error with the lines it is about. A value of the wrong
// kind is told in the recipe's terms, not in those of the Go types behind it.
func yamlError(err error) string {
	if t := (*yaml.TypeError)(nil); errors.As(err, &t) && t.Token != nil {
		return strings.TrimSpace(yaml.FormatErrorWithToken(fmt.Sprintf("found %.60q, expected %s", t.Token.Value, kindName(t.DstType)), t.Token, false, true))
	}
	return strings.TrimSpace(yaml.FormatError(err, false, true))
}

// kindName is what a writer of YAML calls a value of a type.
func kindName(t reflect.Type) string {
	if t == nil {
		return "another kind of value"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a word"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "keys with values"
}

// checkText refuses what is no text file, before any of it is quoted in an error and
// so sent to a terminal.
func checkText(data []byte) error {
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return fmt.Errorf("is not a text file: byte %d is 0x%02x; expected YAML in UTF-8", at, data[at])
		}
		at += size
	}
	return nil
}
