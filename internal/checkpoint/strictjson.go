package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// Helpers for JSON in which repeated keys matter: encoding/json uses the last of two equal
// keys, but another reader of the file may use the first.

// decodeObject reads one JSON object from dec and calls field for each key,
// which must consume the value. A repeated key is an error. where names the
// object in errors.
func decodeObject(dec *json.Decoder, where string, field func(key string) error) error {
	tok, err := dec.Token()
	if err != nil {
		return notJSON(dec, where, err)
	}
	if tok != json.Delim('{') {
		return malformed("%s: found %s, expected a JSON object", where, tokenName(tok))
	}
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return notJSON(dec, where, err)
		}
		key, ok := tok.(string)
		if !ok {
			return malformed("%s: found %s, expected a key", where, tokenName(tok))
		}
		if seen[key] {
			return malformed("%s: key %q appears twice", where, key)
		}
		seen[key] = true
		if err := field(key); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return notJSON(dec, where, err)
	}
	return nil
}

// notJSON describes what dec could not read. A truncated file is reported as such, since
// "EOF" alone does not help.
func notJSON(dec *json.Decoder, where string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("%s: found the end after %s, in the middle of a JSON object; fetch or copy the file again", where, plural.Of(dec.InputOffset(), "byte"))
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return malformed("%s: is not JSON: byte %d: %s", where, dec.InputOffset(), input.SyntaxText(syntax))
	}
	return malformed("%s: %v", where, err)
}

// tokenName is a JSON token as an error names it.
func tokenName(tok json.Token) string {
	switch v := tok.(type) {
	case nil:
		return "null"
	case json.Delim:
		if v == '[' {
			return "a list"
		}
		return v.String()
	case string:
		return fmt.Sprintf("the string %.60q", v)
	}
	return fmt.Sprint(tok)
}

// checkStart returns an error for data that cannot be JSON by its first bytes.
func checkStart(data []byte, where string) error {
	if err := input.JSONStart(data); err != nil {
		return malformed("%s: %v", where, err)
	}
	return nil
}

// rawObject splits a JSON document that is one object into its fields.
func rawObject(data []byte, where string) (map[string]json.RawMessage, error) {
	if err := checkStart(data, where); err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, malformed("%s: not valid UTF-8", where)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	m := map[string]json.RawMessage{}
	err := decodeObject(dec, where, func(key string) error {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return notJSON(dec, fmt.Sprintf("%s: %q", where, key), err)
		}
		m[key] = raw
		return nil
	})
	if err != nil {
		return nil, err
	}
	if rest := bytes.TrimLeft(data[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, malformed("%s: %s after the end of the JSON object", where, plural.Of(len(rest), "byte"))
	}
	return m, nil
}

// jsonString returns the string in raw; false for any other JSON value.
func jsonString(raw json.RawMessage) (string, bool) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// jsonInt returns the whole number in raw, which must be written without fraction or
// exponent.
func jsonInt(raw json.RawMessage) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("found %s, expected a whole number", brief(raw))
	}
	return n, nil
}

// brief shortens a JSON value for an error message.
func brief(raw []byte) string {
	if len(raw) > 60 {
		return string(bytes.ToValidUTF8(raw[:60], nil)) + "..."
	}
	return string(raw)
}
