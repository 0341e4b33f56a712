package tokenizer

import (
	"encoding/json"
	"slices"
	"testing"
)

// TestMergePairs: the fast reader gives what encoding/json gives, or nothing.
func TestMergePairs(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want [][2]string
	}{
		{`[["a","b"]]`, [][2]string{{"a", "b"}}},
		{" [ [ \"a\" ,\n\"b\" ] ,\t[ \"\\u0120\\\"\" , \"]\" ] ] ", [][2]string{{"a", "b"}, {"Ġ\"", "]"}}},
		{`[["a","b"],["c","d","e"]]`, nil}, {`[["a"]]`, nil}, {`["a b"]`, nil}, {`[]`, nil}, {`[["a",1]]`, nil}, {`[["a","b"],"c d"]`, nil}, {`{"a":"b"}`, nil}, {"[[\"a\xff\",\"b\"]]", nil},
	} {
		if got := mergePairs(json.RawMessage(c.raw)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, expected %q", c.raw, got, c.want)
		}
		var plain [][2]string
		if c.want != nil {
			if err := json.Unmarshal([]byte(c.raw), &plain); err != nil || !slices.Equal(plain, c.want) {
				t.Errorf("%s: encoding/json gives %q, %v", c.raw, plain, err)
			}
		}
	}
}
