// Package jsonfloat writes numbers as JSON that may be infinite or no number at all,
// which JSON has no words for and encoding/json refuses: a model that gives a token
// no probability has an infinite perplexity, and its measurement is not to be lost.
package jsonfloat

import (
	"bytes"
	"encoding/json"
	"math"
)

// Float is a number whose JSON is a number, or "Infinity" or "-Infinity" as in the
// JSON mapping of Protocol Buffers, which parseFloat of JavaScript, float() of Python
// and strconv.ParseFloat of Go read; or null where there is no number.
type Float float64

// MarshalJSON implements json.Marshaler.
func (f Float) MarshalJSON() ([]byte, error) {
	switch v := float64(f); {
	case math.IsNaN(v):
		return []byte("null"), nil
	case math.IsInf(v, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-Infinity"`), nil
	default:
		return json.Marshal(v)
	}
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Float) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.Equal(data, []byte("null")):
		*f = Float(math.NaN())
	case bytes.Equal(data, []byte(`"Infinity"`)):
		*f = Float(math.Inf(1))
	case bytes.Equal(data, []byte(`"-Infinity"`)):
		*f = Float(math.Inf(-1))
	default:
		return json.Unmarshal(data, (*float64)(f))
	}
	return nil
}
