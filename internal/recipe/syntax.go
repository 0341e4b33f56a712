package recipe

import (
	"errors"
	"regexp"
	"strings"
)

// syntaxErrors says what is wrong in files that are not YAML, in words for people who do not
// know how a YAML parser works. The key is a part of the message of package yaml; the first that
// fits counts.
var syntaxErrors = []struct{ message, words string }{
	{"found character that cannot start any token", "a key or value begins with a character that YAML reserves, such as a tab, @ or `; indent with spaces, and put such values in quotes"},
	{"found a tab character", "a tab is used to indent; indent with spaces"},
	{"mapping values are not allowed", "there is a second colon in a line, or a key is indented more than the one above; put such values in quotes, and indent the keys of a section alike"},
	{"did not find expected ',' or ']'", "a list that begins with [ has no ], or no comma between two items"},
	{"did not find expected ',' or '}'", "keys that begin with { have no }, or no comma between two of them"},
	{"did not find expected node content", "a value is missing in a list or between braces, such as between two commas"},
	{"could not find expected ':'", "a key has no colon with a space behind it"},
	{"did not find expected key", "a line is indented differently from those above, or something follows a value; indent the keys of a section alike, and put values with such characters in quotes"},
	{"did not find expected '-' indicator", "a list is followed by something that is no item; begin each item with - and indent them alike"},
	{"block sequence entries are not allowed", "a list begins where none can; write it as [a, b], or each item in a line of its own"},
	{"did not find expected <document start>", "something follows the last key; a recipe consists of keys with values only"},
	{"found unexpected end of stream", "a quotation mark or bracket is not closed"},
	{"found unexpected document indicator", "a quotation mark or bracket is not closed"},
	{"unknown escape character", "a backslash between double quotes begins an escape that YAML does not have; use single quotes"},
	{"hexdecimal", "a backslash between double quotes begins an escape that YAML does not have; use single quotes"},
	{"directive", "a line that begins with % is a directive, which recipes do not have; remove it, or put the value in quotes"},
	{"incompatible YAML document", "a line that begins with % is a directive, which recipes do not have; remove it"},
	{"unknown anchor", "a value that begins with * refers to an anchor (&name) that the file does not have before it; put the value in quotes if it is a text"},
	{"value contains itself", "an anchor (&name) contains itself"},
	{"alphabetic or numeric character", "a name is missing or wrong after &, * or %; put the value in quotes if it is a text"},
	{"URI", "what follows ! is no tag of YAML; put the value in quotes if it is a text"},
	{"expected '>'", "what follows ! is no tag of YAML; put the value in quotes if it is a text"},
	{"expected '!'", "what follows ! is no tag of YAML; put the value in quotes if it is a text"},
	{"comment or line break", "what follows | or > in the same line is no number or comment; put the value in quotes if it is a text"},
	{"indentation indicator", "what follows | or > in the same line is no number from 1 to 9; put the value in quotes if it is a text"},
}

var yamlMessage = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// syntaxError puts an error of package yaml into words.
func syntaxError(err error) error {
	m := yamlMessage.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	words := "expected lines of the form key: value, indented by spaces"
	for _, s := range syntaxErrors {
		if strings.Contains(m[2], s.message) {
			words = s.words
			break
		}
	}
	if m[1] == "" {
		return errors.New("is not valid YAML: " + words)
	}
	return errors.New("is not valid YAML near line " + m[1] + ": " + words) // the package names the line before as often as the right one
}
