package recipe

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/RECIPES.md anew")

// yamlPaths lists the keys that the struct's tags name.
func yamlPaths(t reflect.Type, prefix string) (paths []string) {
	for _, f := range reflect.VisibleFields(t) {
		name := f.Tag.Get("yaml")
		if name == "" || name == "-" {
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			paths = append(paths, yamlPaths(inner, prefix+name+".")...)
			continue
		}
		paths = append(paths, prefix+name)
	}
	return paths
}

// TestKeysAreTheStruct: the table has the keys of the struct, each once, in a section
// that is described; every key has a doc, and a default that the key itself accepts.
func TestKeysAreTheStruct(t *testing.T) {
	inStruct := map[string]bool{}
	for _, path := range yamlPaths(reflect.TypeFor[Recipe](), "") {
		inStruct[path] = true
	}
	seen := map[string]bool{}
	for _, k := range Keys() {
		if seen[k.Path] {
			t.Errorf("%s is in the table twice", k.Path)
		}
		seen[k.Path] = true
		if !inStruct[k.Path] {
			t.Errorf("%s is no field of Recipe", k.Path)
		}
		if sections[k.section()] == nil {
			t.Errorf("section %q of %s is not described", k.section(), k.Path)
		}
		if !strings.HasSuffix(k.Doc, ".") || k.Range() == "" {
			t.Errorf("%s: doc %q, range %q", k.Path, k.Doc, k.Range())
		}
		if s := sections[k.section()]; s.Optional || k.Default == "" || k.Default == leftOut {
			continue
		}
		if r, err := Parse([]byte(least), "least"); err != nil {
			t.Fatal(err)
		} else if v := r.field(k.Path); v.Kind() == reflect.String && v.String() != k.Default {
			t.Errorf("%s: default %s, the recipe has %s", k.Path, k.Default, v)
		}
	}
	for path := range inStruct {
		if !seen[path] {
			t.Errorf("%s is not in the table", path)
		}
	}
}

// TestOptionalDefaults: in an optional section the default that is documented is what
// the zero value stands for.
func TestOptionalDefaults(t *testing.T) {
	for _, k := range Keys() {
		if !sections[k.section()].Optional {
			continue
		}
		switch k.Default {
		case "", leftOut, "0", "false", SmoothAlpha, InputQuantized:
		default:
			t.Errorf("%s: default %q in an optional section, where what is left out is zero", k.Path, k.Default)
		}
	}
}

// TestPage holds docs/RECIPES.md to the table.
func TestPage(t *testing.T) {
	want, err := Page()
	if err != nil {
		t.Fatal(err)
	}
	const path = "../../docs/RECIPES.md"
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
		t.Errorf("%s is not what the table says; run go test ./internal/recipe -run TestPage -update", path)
	}
}

// TestHelp: every key is there, and no line of the list is wider than a terminal
// but those that only list values.
func TestHelp(t *testing.T) {
	help := Help()
	for _, k := range Keys() {
		if !strings.Contains(help, "    "+k.Path+": ") {
			t.Errorf("%s is not in the help", k.Path)
		}
	}
	for line := range strings.Lines(help) {
		if strings.HasPrefix(line, "        ") && len(line) > 80 {
			t.Errorf("%d characters: %s", len(line), line)
		}
	}
}
