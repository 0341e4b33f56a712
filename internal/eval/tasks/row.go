package tasks

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// row is one record of a task file. Reading a field that is missing or has another type
// records an error; only the first one is kept.
type row struct {
	file   string
	unit   string // "line" or "row"
	number int    // from 1
	prefix string // path of nested fields
	fields map[string]any
	err    error
	parent *row
}

func (r *row) errorf(field, format string, a ...any) error {
	at := fmt.Sprintf("%s: %s %d", r.file, r.unit, r.number)
	if field != "" {
		at += fmt.Sprintf(": field %q", r.prefix+field)
	}
	return fmt.Errorf("%s: %s", at, fmt.Sprintf(format, a...))
}

func (r *row) fail(field, format string, a ...any) {
	err := r.errorf(field, format, a...)
	for p := r; p != nil; p = p.parent {
		if p.err == nil {
			p.err = err
		}
	}
}

func (r *row) has(field string) bool { return r.fields[field] != nil }

// get returns a field's value; a missing one is an error.
func (r *row) get(field string) any {
	v, ok := r.fields[field]
	if !ok || v == nil {
		r.fail(field, "is missing")
		return nil
	}
	return v
}

func (r *row) mistyped(field string, v any, want string) {
	if v != nil {
		r.fail(field, "is %s, expected %s", kind(v), want)
	}
}

// text reads a string field.
func (r *row) text(field string) string {
	v := r.get(field)
	if s, ok := asText(v); ok {
		return s
	}
	r.mistyped(field, v, "a string")
	return ""
}

// texts reads a field that is a list of strings.
func (r *row) texts(field string) []string {
	v := r.get(field)
	list, ok := v.([]any)
	if !ok {
		r.mistyped(field, v, "a list of strings")
		return nil
	}
	out := make([]string, len(list))
	for i, e := range list {
		if out[i], ok = asText(e); !ok {
			r.fail(field, "item %d, counted from 0, is %s, expected a string", i, kind(e))
			return nil
		}
	}
	return out
}

// rows reads a field that is a list of objects.
func (r *row) rows(field string) []*row {
	v := r.get(field)
	list, ok := v.([]any)
	if !ok {
		r.mistyped(field, v, "a list of objects")
		return nil
	}
	var out []*row
	for i, e := range list {
		fields, ok := e.(map[string]any)
		if !ok {
			r.fail(field, "item %d, counted from 0, is %s, expected an object", i, kind(e))
			return nil
		}
		out = append(out, r.nested(fmt.Sprintf("%s[%d]", field, i), fields))
	}
	return out
}

// object reads a field that is an object.
func (r *row) object(field string) *row {
	v := r.get(field)
	fields, ok := v.(map[string]any)
	if !ok {
		r.mistyped(field, v, "an object")
	}
	return r.nested(field, fields)
}

func (r *row) nested(field string, fields map[string]any) *row {
	return &row{file: r.file, unit: r.unit, number: r.number, prefix: r.prefix + field + ".", fields: fields, parent: r}
}

// integer reads a field that is a whole number, or a string with one.
func (r *row) integer(field string) int {
	v := r.get(field)
	switch n := v.(type) {
	case json.Number:
		if i, err := strconv.Atoi(n.String()); err == nil {
			return i
		}
	case float64:
		if n == math.Trunc(n) && math.Abs(n) < 1<<31 {
			return int(n)
		}
	case int32:
		return int(n)
	case int64:
		return int(n)
	case string, []byte:
		s, _ := asText(n)
		if i, err := strconv.Atoi(s); err == nil {
			return i
		}
		r.fail(field, "is %q, expected a whole number", s)
		return 0
	}
	r.mistyped(field, v, "a whole number")
	return 0
}

// boolean reads a field that is true or false, or 1 or 0.
func (r *row) boolean(field string) bool {
	if b, ok := r.fields[field].(bool); ok {
		return b
	}
	switch n := r.integer(field); {
	case r.err == nil && n != 0 && n != 1:
		r.fail(field, "is %d, expected 0 or 1", n)
		return false
	default:
		return n == 1
	}
}

func asText(v any) (string, bool) {
	switch s := v.(type) {
	case string:
		return s, true
	case []byte:
		return string(s), true
	}
	return "", false
}

// kind names the JSON type of a value.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string, []byte:
		return "a string"
	case bool:
		return "true or false"
	case json.Number, float64, float32, int32, int64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprintf("of type %T", v)
}
