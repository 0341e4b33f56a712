package recipe

import (
	"strings"
	"testing"
)

// TestSyntaxErrors: a file that is not YAML is explained without the words of a YAML parser.
func TestSyntaxErrors(t *testing.T) {
	for doc, want := range map[string]string{
		"name: x\n\tbits: 4-8-8\n":                 "near line 2: a tab is used to indent",
		"name: @x\n":                               "begins with a character that YAML reserves",
		"name: x\n  bits: 4-8-8\n":                 "near line 2: there is a second colon in a line, or a key is indented more",
		"name: x: y\n":                             "there is a second colon",
		"name: x\nsmooth:\n  alpha: [off, 0.5\n":   "near line 2: a list that begins with [ has no ]",
		"name: x\nweights: {group: 32\n":           "near line 1: keys that begin with { have no }",
		"weights: {group: 32,, zero: centred}\n":   "a value is missing",
		"name: x\nbits:4-8-8\n":                    "near line 2: a key has no colon with a space behind it",
		"name: x\n}\n":                             "is indented differently from those above, or something follows a value",
		"name: 'a' 'b'\n":                          "something follows a value",
		"name: \"x\n":                              "near line 2: a quotation mark or bracket is not closed",
		"name: \"a\n---\nb\n":                      "near line 2: a quotation mark or bracket is not closed",
		"name: \"\\q\"\n":                          "an escape that YAML does not have",
		"name: \"\\x4\"\n":                         "an escape that YAML does not have",
		"name: x\n%foo\n":                          "near line 2: a line that begins with % is a directive",
		"%YAML 2.0\n---\nname: x\n":                "a line that begins with % is a directive",
		"name: x\nbits: *foo\n":                    "refers to an anchor (&name) that the file does not have",
		"name: &\n":                                "a name is missing or wrong after &, * or %",
		"name: *\n":                                "a name is missing or wrong after &, * or %",
		"name: !<x\n":                              "what follows ! is no tag of YAML",
		"name: |9x\n":                              "what follows | or > in the same line",
		"name: x\n...\nfoo\n":                      "something follows the last key",
		"name: x\nbits: 4-8-8\n---\nname: y\n":     "line 3: a second YAML document begins",
		"name: x\nbits: 4-8-8\n---\nname: [a\nb: ": "is not valid YAML",
	} {
		_, err := Parse([]byte(doc), "mine.yml")
		if err == nil {
			t.Errorf("%q is accepted", doc)
			continue
		}
		for _, theirs := range []string{"yaml:", "did not find", "mapping values", "scalar", "block", "stream", "indicator", "token"} {
			if strings.Contains(err.Error(), theirs) {
				t.Errorf("%q: %v: has the parser's word %q", doc, err, theirs)
			}
		}
		if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "recipe mine.yml") {
			t.Errorf("%q: found %v, expected %s", doc, err, want)
		}
	}
}
