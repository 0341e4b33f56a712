package jsonfloat

import (
	"encoding/json"
	"math"
	"testing"
)

func TestFloat(t *testing.T) {
	for _, v := range []float64{0, 1, -2.5, 1e300, 5e-324, 0.1, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, math.Copysign(0, -1)} {
		data, err := json.Marshal([]Float{Float(v)})
		if err != nil || !json.Valid(data) {
			t.Fatalf("%v: %s, %v", v, data, err)
		}
		var back []Float
		if err := json.Unmarshal(data, &back); err != nil || len(back) != 1 {
			t.Fatalf("%v: %s: %v, %v", v, data, back, err)
		}
		if got := float64(back[0]); got != v && !(math.IsNaN(got) && math.IsNaN(v)) {
			t.Errorf("%v became %v by way of %s", v, got, data)
		}
		if plain, err := json.Marshal([]float64{v}); err == nil && string(plain) != string(data) {
			t.Errorf("%v: %s, expected %s as a number without this type", v, data, plain)
		}
	}
	for _, text := range []string{`"inf"`, `"NaN"`, `"1"`, `[]`, `true`, `1e999`} {
		var f Float
		if err := json.Unmarshal([]byte(text), &f); err == nil {
			t.Errorf("%s: read as %v", text, f)
		}
	}
}
