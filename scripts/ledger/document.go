package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/checkpoint"
)

// markers are the lines between which a section of the file is ours.
func markers(section string) (begin, end string) {
	return "<!-- ledger: " + section + " -->\n", "<!-- end of ledger: " + section + " -->\n"
}

// replace puts the sections between their markers.
func replace(text string, sections map[string]string) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		begin, end := markers(name)
		if b, e := strings.Count(text, begin), strings.Count(text, end); b != 1 || e != 1 {
			return "", fmt.Errorf("found %d lines %q and %d lines %q, expected one of each", b, strings.TrimSpace(begin), e, strings.TrimSpace(end))
		}
		head, rest, _ := strings.Cut(text, begin)
		_, tail, ok := strings.Cut(rest, end)
		if !ok {
			return "", fmt.Errorf("the line %q stands after %q, expected it before", strings.TrimSpace(begin), strings.TrimSpace(end))
		}
		text = head + begin + "\n" + strings.Trim(sections[name], "\n") + "\n\n" + end + tail
	}
	return text, nil
}

// differs gives the first line in which two texts are not the same, counted from
// 1, or 0.
func differs(a, b string) int {
	if a == b {
		return 0
	}
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return i + 1
		}
	}
	return min(len(x), len(y)) + 1
}

// write replaces the file as a whole.
func write(file, text string, log io.Writer) error {
	if err := checkpoint.WriteFileAtomic(file, []byte(text)); err != nil {
		return err
	}
	fmt.Fprintf(log, "%s is written\n", file)
	return nil
}
