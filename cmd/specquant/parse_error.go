package main

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// parseWords replaces messages of the command-line parser about values by plainer ones.
var parseWords = []struct {
	found   *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`^expected "<(\w+)>.*"$`), "the argument <$1> is missing"},
	{regexp.MustCompile(`^<(\w+)> must be one of (.*) but got (".*")$`), "the argument <$1>: found $3, expected one of $2"},
	{regexp.MustCompile(`^(--\S+) must be one of (.*) but got (".*")$`), "$1: found $3, expected one of $2"},
	{regexp.MustCompile(`expected a valid \d+ bit int but got (".*")`), "found $1, expected a whole number"},
	{regexp.MustCompile(`expected a valid \d+ bit uint but got (".*")`), "found $1, expected a whole number from 0"},
	{regexp.MustCompile(`expected an int but got (".*") \([^)]*\)`), "found $1, expected a whole number"},
	{regexp.MustCompile(`expected a float but got (".*") \([^)]*\)`), "found $1, expected a number"},
	{regexp.MustCompile(`bool value must be true, 1, yes, false, 0 or no but got (".*")`), "found $1, expected true or false"},
	{regexp.MustCompile(`expected bool but got (".*") \([^)]*\)`), "found $1, expected true or false"},
	{regexp.MustCompile(`expected duration but got (".*"): time: .*`), "found $1, expected a time with its unit, such as 90s, 10m or 1h30m"},
	{regexp.MustCompile(`(?:invalid map (?:key|value)|expected "<key>=<value>" but got) (".*")`), "found $1, expected ID=NUMBER, such as 65=-5"}, // --logit-bias, the only one of its kind
	{regexp.MustCompile(`expected (\S+) value but got "EOL" \(<EOL>\)`), "found no value, expected one behind it"},
	{regexp.MustCompile(`expected (.*?) value but got (".*") \(.*\)`), "found $2, expected a value of its own"},
}

var unexpectedArgument = regexp.MustCompile(`^unexpected argument (.+?)(, did you mean .*)?$`)

// parseErrorText describes an error in the command line for the user.
func parseErrorText(err error) string {
	text := err.Error()
	var parse *kong.ParseError
	if m := unexpectedArgument.FindStringSubmatch(text); m != nil && errors.As(err, &parse) && parse.Context != nil {
		node := parse.Context.Selected()
		if node == nil {
			node = parse.Context.Model.Node
		}
		var names []string
		for _, child := range node.Children {
			if !child.Hidden {
				names = append(names, child.Name)
			}
		}
		switch {
		case len(names) == 0:
			return fmt.Sprintf("%s: found %q, expected no further argument; quote a text that has spaces", node.Name, m[1])
		case node == parse.Context.Model.Node:
			return fmt.Sprintf("there is no command %q%s; the commands are %s", m[1], m[2], strings.Join(names, ", "))
		}
		return fmt.Sprintf("%s has no %q%s; it has %s", node.Name, m[1], m[2], strings.Join(names, ", "))
	}
	for _, w := range parseWords {
		text = w.found.ReplaceAllString(text, w.instead)
	}
	return text
}

// flagLimits are upper limits of flags that decide about memory or time, the same in every
// command.
var flagLimits = map[string]int64{
	"threads": parallel.MaxThreads,
	"batch":   1 << 20, // sequences, or tokens computed together
	"prefill": 1 << 27, // tokens, as many as a config may allow
	"decode":  1 << 27,
	"ctx":     1 << 27,
	"rounds":  1000,
	"seeds":   1000,
	"choices": 10000,

	"slots": 256, "keep": 1024, "queue": 65536, "connections": 65536, "port": 65535, // of serve
}

// maxSequences is the upper limit of each entry in a list of batch sizes.
const maxSequences = 4096

// checkEmpty refuses flags that are given an empty value, as an unset variable of the shell is:
// without the flag something else happens than what was meant. A text may be empty.
func checkEmpty(k *kong.Context) error {
	for _, p := range k.Path {
		if p.Flag == nil || p.Resolved || p.Flag.PlaceHolder == "TEXT" {
			continue
		}
		empty := p.Flag.Target.Kind() == reflect.String && p.Flag.Target.String() == ""
		if v := p.Flag.Target; v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.String {
			empty = v.Len() == 0
			for i := range v.Len() {
				empty = empty || v.Index(i).String() == ""
			}
		}
		if empty {
			return fmt.Errorf("--%s: its value is empty; leave the flag out, or give it a value (is a variable of the shell not set?)", p.Flag.Name)
		}
	}
	return nil
}

// checkFlags holds the numbers of the command line against their limits. No whole number
// may be below 0, but for run's -n, where −1 means what 0 does.
func checkFlags(k *kong.Context) error {
	if err := checkEmpty(k); err != nil {
		return err
	}
	for _, f := range k.Flags() {
		values := []reflect.Value{f.Target}
		switch f.Target.Kind() {
		case reflect.Slice:
			values = nil
			for i := range f.Target.Len() {
				values = append(values, f.Target.Index(i))
			}
		case reflect.Pointer:
			values = []reflect.Value{f.Target.Elem()} // of a flag that is not given this is the zero Value, which is no number
		}
		limit, limited := flagLimits[f.Name]
		if f.Name == "batch" && f.Target.Kind() == reflect.Slice {
			limit = maxSequences
		}
		for _, v := range values {
			switch {
			case !v.IsValid() || !v.CanInt():
			case v.Int() < 0 && f.Name != "n":
				return fmt.Errorf("--%s: found %v, expected a number from 0", f.Name, v.Interface())
			case limited && v.Int() > limit:
				return fmt.Errorf("--%s: found %d, expected at most %d, the limit", f.Name, v.Int(), limit)
			}
		}
	}
	return nil
}
