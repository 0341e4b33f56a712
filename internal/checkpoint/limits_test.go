package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// manyTensors writes a safetensors file of n empty tensors.
func manyTensors(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("{")
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"t%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, i)
	}
	b.WriteString("}")
	path := filepath.Join(t.TempDir(), "many.safetensors")
	if err := os.WriteFile(path, append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.String()...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTensorLimit(t *testing.T) {
	if _, err := OpenFile(manyTensors(t, maxTensors+1)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "has more than 131072 tensors, the limit") {
		t.Error(err)
	}
	f, err := OpenFile(manyTensors(t, 1000))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Names()) != 1000 {
		t.Error(len(f.Names()))
	}
}

// What could make a header large without making a model so is bounded: keys of the
// metadata, names, lists.
func TestHeaderLimits(t *testing.T) {
	keys := make([]string, maxTensors+1)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":""`, i)
	}
	for want, header := range map[string]string{
		"__metadata__: has more than 131072 keys":                      `{"__metadata__":{` + strings.Join(keys, ",") + `}}`,
		"the name of a tensor has 4097 bytes, expected at most":        `{"` + strings.Repeat("n", maxName+1) + `":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`,
		"shape: found 2051 bytes, expected a list of at most 32":       `{"a":{"dtype":"F32","shape":[` + strings.Repeat("1,", 1024) + `1],"data_offsets":[0,0]}}`,
		"shape: found 33 numbers, expected at most 32":                 `{"a":{"dtype":"F32","shape":[` + strings.Repeat("1,", 32) + `1],"data_offsets":[0,0]}}`,
		"data_offsets: found 2050 bytes, expected a list of at most 2": `{"a":{"dtype":"F32","shape":[0],"data_offsets":[` + strings.Repeat(" ", 2045) + `0,0]}}`,
	} {
		if _, err := parseHeader("f", []byte(header), 8, 0); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := parseHeader("f", []byte(`{"`+strings.Repeat("n", maxName)+`":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`), 8, 0); err != nil {
		t.Error(err)
	}
}

// What is not JSON, or another kind of JSON, is told in words.
func TestJSONInWords(t *testing.T) {
	for in, want := range map[string]string{
		"null":                "found null, expected a JSON object",
		"[]":                  "found a list, expected a JSON object",
		`"x"`:                 `found the string "x", expected a JSON object`,
		"5":                   "found 5, expected a JSON object",
		"":                    "is empty, expected JSON",
		"\xef\xbb\xbf{}":      "begins with a byte order mark",
		"\xff\xfe{\x00":       "is UTF-16",
		"{a}":                 "is not JSON: byte 1: found 'a', which can't stand there",
		`{"a":1 "b":2}`:       "is not JSON: byte",
		`{"hidden_size":"x"}`: "",
	} {
		_, err := ParseConfig([]byte(in), "config.json")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
		for _, word := range []string{"<nil>", "map[", " json:", "Go "} {
			if strings.Contains(fmt.Sprint(err), word) {
				t.Errorf("%q: %v", in, err)
			}
		}
	}
	for in, want := range map[string]string{
		`{"weight_map":{"a":""}}`:   `shard name "" is empty, expected a plain file name`,
		`{"weight_map":{"a":null}}`: "found null, expected a file name",
		`{"weight_map":null}`:       "weight_map: found null, expected a JSON object",
		"\xef\xbb\xbf{}":            "begins with a byte order mark",
	} {
		if _, err := parseIndex([]byte(in), "index"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}
