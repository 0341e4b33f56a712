package input

import (
	"encoding/json"
	"strings"
	"testing"
)

type sample struct {
	Name  string            `json:"name"`
	Count int               `json:"count"`
	Size  uint8             `json:"size"`
	Share float64           `json:"share"`
	On    bool              `json:"on"`
	List  []struct{ A int } `json:"list"`
	Map   map[string]int    `json:"map"`
	Ptr   *string           `json:"ptr"`
}

func TestJSONErrors(t *testing.T) {
	for in, want := range map[string]string{
		"\xef\xbb\xbf{}":           "begins with a byte order mark",
		"\xff\xfe{\x00}\x00":       "is UTF-16; save it as UTF-8",
		"":                         "is empty, expected JSON",
		strings.Repeat("[", 20000): "nested more than 10000 deep",
		" \n":                      "is empty, expected JSON",
		`{"name":"x"`:              "found the end after 11 bytes, in the middle of the JSON",
		`{"name":1}`:               `field "name": found a number, expected a string`,
		`{"count":"x"}`:            `field "count": found a string, expected a whole number`,
		`{"count":1.5}`:            `field "count": found 1.5, expected a whole number`,
		`{"size":-1}`:              `field "size": found -1, expected a whole number from 0`,
		`{"size":256}`:             `field "size": found 256, expected a whole number from 0`,
		`{"share":[]}`:             `field "share": found a list, expected a number`,
		`{"on":"yes"}`:             `field "on": found a string, expected true or false`,
		`{"list":{}}`:              `field "list": found an object, expected a list`,
		`{"list":[1]}`:             `found a number, expected an object`,
		`{"map":[1]}`:              `field "map": found a list, expected an object`,
		`{"ptr":true}`:             `field "ptr": found true or false, expected a string`,
		`[1]`:                      `found a list, expected an object`,
		`"x"`:                      `found a string, expected an object`,
		`{'name':1}`:               `is not JSON: line 1, column 2: found '\''`,
		"{\n \"name\": x}":         `is not JSON: line 2, column 10: found 'x', expected a value`,
		`{"name":"a" "count":1}`:   `is not JSON: line 1, column 13: found '"', which can't stand after a key with its value`,
		`{"name":"a",}`:            `is not JSON: line 1, column 13: found '}', expected a key in quotes`,
		`{} x`:                     `is not JSON: line 1, column 4: found 'x', which can't stand after its end`,
		"{\"name\":\"a\nb\"}":      `is not JSON: line 1, column 11: found '\n', which can't stand in a string`,
		`{"name":nul}`:             `is not JSON: line 1, column 12: found '}', which can't stand in literal null`,
	} {
		err := JSON([]byte(in), &sample{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nwant %s", in, err, want)
		}
	}
	for in, key := range map[string]string{
		`{"name":"a","count":1,"name":"b"}`:                 `"name"`,
		`{"map":{"x":1,"y":2,"x":1}}`:                       `"x"`,
		`{"list":[{"a":1},{"a":2,"b":"}","a":3}]}`:          `"a"`,
		`{"map":{"x":1,"\u0078":1}}`:                        `"x"`,
		"{\"name\":\"a\",\n\"ptr\":null,\n\"name\":\"a\"}":  "line 3",
		`{"unknown":{"deep":[[{"k":1,"k":2}]]},"name":"a"}`: `"k"`,
	} {
		err := JSON([]byte(in), &sample{})
		if err == nil || !strings.Contains(err.Error(), "appears twice in one object") || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", in, err)
		}
	}
	for _, in := range []string{`{"name":"\"name\":","list":[{"a":1},{"a":1}],"map":{"name":1,"list":2}}`, `{"map":{"{":1,"[":2,",":3,"\\":4},"name":"x","count":2}`, `{"list":[],"map":{},"name":""}`} {
		if err := JSON([]byte(in), &sample{}); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
	if err := StrictPartJSON([]byte(`{"other":1}`), &sample{}); err == nil || err.Error() != `field "other" is not known` {
		t.Error(err)
	}
}

// FuzzJSONError: whatever the bytes, the error speaks no Go.
func FuzzJSONError(f *testing.F) {
	for _, s := range []string{"\xef\xbb\xbf{}", "", "{", `{"name":1}`, `{"list":[{"A":"x"}]}`, `{"map":{"a":[]}}`, "nul", `{"size":1e400}`, `"\ud800`, "{\"\x00\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := JSON(data, &sample{})
		if (err == nil) != (json.Unmarshal(data, &sample{}) == nil) {
			t.Fatalf("%q: %v", data, err)
		}
		if err == nil {
			return
		}
		for _, word := range []string{"json:", "Go value", "Go struct", "unmarshal", "<nil>", "struct {", "unexpected EOF"} {
			if strings.Contains(err.Error(), word) && !strings.Contains(string(data), word) {
				t.Errorf("%q: %v", data, err)
			}
		}
	})
}
