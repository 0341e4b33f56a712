package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
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

// document collects the sections that are to be written to the file.
type document struct {
	file           string // "": none is written
	check, partial bool   // flags
	sections       map[string]string
	missing        []error // why sections are left as they are
}

// add adds sections made of so many rows, if there are any, and all of them or -partial. lacking
// says what is missing.
func (d *document) add(sections map[string]string, rows int, complete bool, lacking string) {
	switch {
	case d.file == "":
	case d.check || rows > 0 && (complete || d.partial):
		if d.sections == nil {
			d.sections = map[string]string{}
		}
		maps.Copy(d.sections, sections)
	case rows == 0:
		d.missing = append(d.missing, fmt.Errorf("no cell of this program (or those of -from) is kept for the sections %s: they are left as they are", names(sections)))
	default:
		d.missing = append(d.missing, fmt.Errorf("%s; the sections %s are left as they are (-partial writes them without)", lacking, names(sections)))
	}
}

// names lists the sections.
func names(sections map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(sections)), ", ")
}

// write replaces the sections in the file, or compares them.
func (d *document) write(log io.Writer) error {
	if len(d.sections) == 0 {
		return errors.Join(d.missing...)
	}
	old, err := os.ReadFile(d.file)
	if err != nil {
		return err
	}
	text, err := replace(string(old), d.sections)
	if err != nil {
		return fmt.Errorf("%s: %w", d.file, err)
	}
	if d.check {
		if line := differs(string(old), text); line > 0 {
			return fmt.Errorf("%s: line %d is not what the kept cells give; run without -check", d.file, line)
		}
		return nil
	}
	if err := checkpoint.WriteFileAtomic(d.file, []byte(text)); err != nil {
		return err
	}
	fmt.Fprintf(log, "%s: the sections %s are written\n", d.file, names(d.sections))
	return errors.Join(d.missing...)
}
