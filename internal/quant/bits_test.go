package quant

import (
	"strings"
	"testing"
)

func TestParseBits(t *testing.T) {
	for _, want := range []Bits{{4, 16, 16}, {4, 8, 8}, {4, 4, 16}, {4, 4, 4}, {8, 8, 8}, {8, 16, 4}, {2, 16, 16}, {3, 8, 8}, {5, 4, 4}, {6, 16, 8}, {7, 8, 16}} {
		got, err := ParseBits(want.String())
		if err != nil || got != want {
			t.Errorf("ParseBits(%s) = %v, %v", want, got, err)
		}
	}
}

func TestParseBitsRefuses(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "expected weights-activations-KV"},
		{"4", "expected weights-activations-KV"},
		{"4-4", "expected weights-activations-KV"},
		{"4-4-4-4", "expected weights-activations-KV"},
		{"-4-4-4", "expected weights-activations-KV"},
		{"4--4", `"" is not a number`},
		{"w4-4-4", `"w4" is not a number`},
		{"4-4-4 ", `"4 " is not a number`},
		{"4-4.0-4", `"4.0" is not a number`},
		{"4-99999999999999999999-4", "is not a number"},
		{"+4-4-4", "write it 4-4-4"},
		{"4-08-4", "write it 4-8-4"},
		{"1-4-4", "weights in 1 bit"},
		{"9-4-4", "weights in 9 bits"},
		{"16-16-16", "weights in 16 bits"},
		{"0-4-4", "weights in 0 bits"},
		{"4-5-4", "activations in 5 bits"},
		{"4-4-2", "KV cache in 2 bits"},
	} {
		got, err := ParseBits(c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ParseBits(%q): error %v, want one with %q", c.in, err, c.want)
		}
		if got != (Bits{}) {
			t.Errorf("ParseBits(%q) = %v beside an error", c.in, got)
		}
	}
}

func FuzzParseBits(f *testing.F) {
	for _, s := range []string{"4-4-4", "4-16-16", "8-8-8", "", "--", "4-4", "+4-4-4", "4-4-4\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseBits(s)
		if err == nil && (b.String() != s || b.Check() != nil) {
			t.Errorf("ParseBits(%q) = %v", s, b)
		}
	})
}
