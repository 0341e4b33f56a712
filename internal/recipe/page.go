package recipe

import (
	"bytes"
	"fmt"
	"strings"
)

// Help lists the keys for a terminal: path, values, default and effect of each, in lines of
// at most 80 characters.
func Help() string {
	var out strings.Builder
	out.WriteString("A recipe is a YAML file of these sections and keys. A key without a default is required if its section is present.\n")
	for _, s := range Sections() {
		title := s.Name
		if s.Optional {
			title += " (optional)"
		}
		fmt.Fprintf(&out, "\n%s\n\n", strings.TrimSpace(title+": "+s.Doc))
		for _, k := range keys {
			if k.section() != s.Name {
				continue
			}
			fmt.Fprintf(&out, "    %s: %s\n", k.Path, k.Range())
			if k.Default != "" {
				fmt.Fprintf(&out, "        Default: %s.\n", k.Default)
			}
			wrap(&out, "        ", k.Doc, 78)
		}
	}
	return strings.Replace(out.String(), "\n: What", "\nWhat", 1)
}

// wrap writes text in lines of at most width characters that begin with indent.
func wrap(out *strings.Builder, indent, text string, width int) {
	line := indent
	for word := range strings.FieldsSeq(text) {
		if len(line) > len(indent) && len(line)+1+len(word) > width {
			out.WriteString(line + "\n")
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	out.WriteString(line + "\n")
}

// Page is docs/RECIPES.md: the embedded recipes, and the contents of Help as tables.
func Page() ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(`# Recipes

<!-- Written by "go test ./internal/recipe -run TestPage -update" from the table of keys. Do not edit. -->

A recipe describes how a model is quantized: a YAML file with a section for each stage. ` + "`specquant recipes`" + ` lists the recipes embedded in the
program, ` + "`specquant recipes NAME > mine.yaml`" + ` saves one as a starting point for your own, and ` + "`specquant quantize -r mine.yaml …`" + ` uses it.

If an optional section is absent, its stage is skipped. Unknown keys, values outside their limits, and settings that exclude each other are
errors.

## Embedded recipes

| name | bits | what it is |
|---|---|---|
`)
	for _, name := range Names() {
		r, err := Load(name)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", name, r.Bits, cell(r.About))
	}
	for _, s := range Sections() {
		switch {
		case s.Name == "":
			out.WriteString("\n## Keys\n\n")
		case s.Optional:
			fmt.Fprintf(&out, "\n### `%s` (optional)\n\n", s.Name)
		default:
			fmt.Fprintf(&out, "\n### `%s`\n\n", s.Name)
		}
		fmt.Fprintf(&out, "%s\n\n| key | values | default | what it does |\n|---|---|---|---|\n", s.Doc)
		for _, k := range keys {
			if k.section() != s.Name {
				continue
			}
			def := k.Default
			if def == "" {
				def = "**required**"
			}
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", k.name(), cell(k.Range()), def, cell(k.Doc))
		}
	}
	return out.Bytes(), nil
}

// cell escapes text for a cell of a Markdown table.
func cell(text string) string { return strings.NewReplacer("|", `\|`, "*", `\*`).Replace(text) }
