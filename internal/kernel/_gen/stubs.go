package main

import (
	"bytes"
	"fmt"
	"go/format"
	"maps"
	"slices"
	"strings"
)

// stubs returns the text of a package's stubs_GOARCH.go: the Go declarations of all its
// assembly routines for an architecture. assembly has the text of the files by name. The
// declaration of a routine is the comment above it in the assembly file:
//
//	// func name(parameters) results
//	// What it does, which becomes the comment of the declaration.
//	TEXT ·name(SB), …
//
// So the signature is written once. go vet compares it with the offsets in the assembly.
func stubs(assembly map[string][]byte, pkg, about string) ([]byte, error) {
	var body bytes.Buffer
	for _, file := range slices.Sorted(maps.Keys(assembly)) {
		fmt.Fprintf(&body, "\n// %s\n", file)
		var comment []string
		for line := range strings.Lines(string(assembly[file])) {
			line = strings.TrimSuffix(line, "\n")
			if strings.HasPrefix(line, "//") {
				comment = append(comment, line)
				continue
			}
			if name, ok := strings.CutPrefix(line, "TEXT ·"); ok {
				name, _, _ = strings.Cut(name, "(")
				if len(comment) == 0 || !strings.HasPrefix(comment[0], "// func "+name+"(") {
					return nil, fmt.Errorf("%s: no comment \"// func %s(…)\" above the routine", file, name)
				}
				body.WriteString("\n")
				for _, c := range comment[1:] {
					fmt.Fprintln(&body, c)
				}
				if len(comment) > 1 {
					fmt.Fprintln(&body, "//")
				}
				fmt.Fprintf(&body, "//go:noescape\n%s\n", strings.TrimPrefix(comment[0], "// "))
			}
			comment = nil
		}
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%sthe assembly files. DO NOT EDIT.\n\npackage %s\n\n", generated, pkg)
	if strings.Contains(body.String(), "unsafe.") {
		fmt.Fprintf(&out, "import \"unsafe\"\n\n")
	}
	fmt.Fprintf(&out, "%s\n%s", about, body.String())
	return format.Source(out.Bytes())
}
