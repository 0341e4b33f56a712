package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// bom is the byte order mark that some editors put before UTF-8.
var bom = []byte("\xef\xbb\xbf")

// JSON is json.Unmarshal with errors that describe what is wrong and where. A key that
// appears twice in one object is an error, and so is null instead of a document, which
// encoding/json takes for any.
func JSON(data []byte, into any) error {
	if err := PartJSON(data, into); err != nil {
		return err
	}
	if string(bytes.TrimSpace(data)) == "null" {
		return fmt.Errorf("found null, expected %s", kindName(reflect.TypeOf(into).Elem()))
	}
	return repeatedKey(data)
}

// PartJSON is [JSON] for a part of a document that JSON has read: repeated keys are not
// looked for again.
func PartJSON(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return JSONError(data, err)
	}
	return nil
}

// StrictPartJSON is [PartJSON] with unknown fields as errors.
func StrictPartJSON(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return JSONError(data, err)
	}
	return nil
}

// JSONError describes an error of encoding/json for the author of the data: the place, what
// was found and what was expected.
func JSONError(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if err := JSONStart(data); err != nil {
		return err
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && strings.HasPrefix(syntax.Error(), "unexpected end"):
		return fmt.Errorf("found the end after %s, in the middle of the JSON; fetch or copy it again", plural.Of(len(data), "byte"))
	case errors.As(err, &syntax):
		at := max(min(int(syntax.Offset)-1, len(data)), 0)
		return fmt.Errorf("is not JSON: line %d, column %d: %s", 1+bytes.Count(data[:at], []byte("\n")), at-bytes.LastIndexByte(data[:at], '\n'), SyntaxText(syntax))
	case errors.As(err, &kind):
		where := ""
		if kind.Field != "" {
			where = fmt.Sprintf("field %q: ", kind.Field)
		}
		return fmt.Errorf("%sfound %s, expected %s", where, valueName(kind.Value), kindName(kind.Type))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("field %s is not known", name)
	}
	if text, ok := strings.CutPrefix(err.Error(), "json: "); ok {
		return errors.New(text)
	}
	return err
}

// JSONStart returns an error for data that cannot be JSON by its first bytes, naming what
// it is.
func JSONStart(data []byte) error {
	switch {
	case bytes.HasPrefix(data, bom):
		return errors.New("begins with a byte order mark (the bytes EF BB BF), which JSON does not have; save it as UTF-8 without one")
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return errors.New("is UTF-16; save it as UTF-8")
	case len(bytes.TrimSpace(data)) == 0:
		return errors.New("is empty, expected JSON")
	}
	return nil
}

var invalidCharacter = regexp.MustCompile(`^invalid character (.+?)(?: (looking for beginning of|after|in) (.+))?$`)

// SyntaxText describes a syntax error: what was found and what was expected.
func SyntaxText(e *json.SyntaxError) string {
	if strings.HasSuffix(e.Error(), "exceeded max depth") {
		return "is nested more than 10000 deep, the limit"
	}
	m := invalidCharacter.FindStringSubmatch(e.Error())
	if m == nil {
		return e.Error()
	}
	what := strings.NewReplacer("object key:value pair", "a key with its value", "array element", "an element of a list", "object key", "a key",
		"top-level value", "its end", "string literal", "a string", "string escape code", "an escape in a string").Replace(m[3])
	switch m[2] {
	case "":
		return fmt.Sprintf("found %s, which can't stand there", m[1])
	case "after":
		return fmt.Sprintf("found %s, which can't stand after %s", m[1], what)
	case "in":
		return fmt.Sprintf("found %s, which can't stand in %s", m[1], what)
	}
	return fmt.Sprintf("found %s, expected %s", m[1], strings.NewReplacer("a key string", "a key in quotes", "value", "a value").Replace(what))
}

// valueName is the common name of a JSON value, given encoding/json's.
func valueName(v string) string {
	switch kind, rest, _ := strings.Cut(v, " "); kind {
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "number":
		if rest != "" {
			return rest
		}
		return "a number"
	}
	return v
}

// kindName is the common name of the JSON type for a Go type.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return kindName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number from 0"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "an object"
}
