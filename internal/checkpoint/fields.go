package checkpoint

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// fields reads typed fields of a JSON object and keeps the first error, so that a parser
// reads like a list of what it accepts. Null counts as absent. After an error, every method
// returns zero values.
type fields struct {
	where string // file, and the path inside it, for errors
	m     map[string]json.RawMessage
	err   error
}

func newFields(data []byte, where string) *fields {
	m, err := rawObject(data, where)
	return &fields{where: where, m: m, err: err}
}

func (f *fields) failf(key, format string, a ...any) {
	if f.err == nil {
		f.err = malformed("%s: field %q: %s", f.where, key, fmt.Sprintf(format, a...))
	}
}

// raw is the field's JSON; nil if it is absent or null.
func (f *fields) raw(key string) json.RawMessage {
	if r := f.m[key]; f.err == nil && string(r) != "null" {
		return r
	}
	return nil
}

func (f *fields) has(key string) bool { return f.raw(key) != nil }

// require fails if one of the keys is absent.
func (f *fields) require(keys ...string) {
	for _, k := range keys {
		if f.err == nil && !f.has(k) {
			f.failf(k, "missing, and it is required")
		}
	}
}

// intOr returns a whole number within [lo, hi], or def if it is absent.
func (f *fields) intOr(key string, def, lo, hi int) int {
	r := f.raw(key)
	if r == nil {
		return def
	}
	n, err := jsonInt(r)
	if err != nil {
		f.failf(key, "%v", err)
		return 0
	}
	if n < int64(lo) || n > int64(hi) {
		f.failf(key, "found %d, expected %d to %d", n, lo, hi)
		return 0
	}
	return int(n)
}

// floatOr returns a number within [lo, hi], or def if it is absent.
func (f *fields) floatOr(key string, def, lo, hi float64) float64 {
	r := f.raw(key)
	if r == nil {
		return def
	}
	var v float64
	if err := json.Unmarshal(r, &v); err != nil {
		f.failf(key, "found %s, expected a number", brief(r))
		return 0
	}
	if math.IsNaN(v) || v < lo || v > hi {
		f.failf(key, "found %v, expected %v to %v", v, lo, hi)
		return 0
	}
	return v
}

func (f *fields) boolOr(key string, def bool) bool {
	switch r := f.raw(key); string(r) {
	case "":
		return def
	case "true":
		return true
	case "false":
		return false
	default:
		f.failf(key, "found %s, expected true or false", brief(r))
		return false
	}
}

func (f *fields) stringOr(key, def string) string {
	r := f.raw(key)
	if r == nil {
		return def
	}
	s, ok := jsonString(r)
	if !ok {
		f.failf(key, "found %s, expected a string", brief(r))
	}
	return s
}

// object returns a nested object, or nil if it is absent.
func (f *fields) object(key string) *fields {
	r := f.raw(key)
	if r == nil {
		return nil
	}
	sub := newFields(r, f.where+": "+key)
	if f.err == nil {
		f.err = sub.err
	}
	return sub
}

// tokens returns a token id or a list of them, each below vocab; negative ids mean none. If
// the field is absent it is def, provided that is a valid id.
func (f *fields) tokens(key string, def, vocab int) []int {
	r, isSet := f.m[key]
	if f.err != nil || string(r) == "null" {
		return nil
	}
	if !isSet {
		if def < 0 || def >= vocab {
			return nil
		}
		return []int{def}
	}
	if len(r) == 0 || r[0] != '[' {
		r = json.RawMessage("[" + string(r) + "]")
	}
	ids, err := intList(r, maxEOS)
	if err != nil {
		f.failf(key, "%v (a token id or a list of them)", err)
		return nil
	}
	var out []int
	for _, id := range ids {
		if id >= int64(vocab) {
			f.failf(key, "token id %d, expected one below vocab_size %d", id, vocab)
			return nil
		}
		if id < -1 { // some files write −1 for none
			f.failf(key, "token id %d, expected one from 0, or -1 for none", id)
			return nil
		}
		if id >= 0 && !slices.Contains(out, int(id)) {
			out = append(out, int(id))
		}
	}
	return out
}
