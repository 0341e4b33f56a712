package method

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
)

// guarded calls a function of the YAML library, which panics on some malformed
// documents (a tag without a value before a type that reads itself), and makes
// that an error.
func guarded(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML is malformed in a way that its reader does not survive (%v); look for a tag such as !x without a value", p)
		}
	}()
	return call()
}

// yamlError is the library's error with the lines it is about.
func yamlError(err error) string { return strings.TrimSpace(yaml.FormatError(err, false, true)) }
