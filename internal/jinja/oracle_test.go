package jinja

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// goldens are renderings by Python's jinja2, made by testdata/golden.py.
type goldens struct {
	Cases     map[string]json.RawMessage
	Templates []struct {
		Name, Source string
		Out, Error   map[string]string
	}
	SnippetVars json.RawMessage `json:"snippet_vars"`
	Snippets    []struct {
		Source string
		Out    *string
		Error  string
	}
}

func readGoldens(t testing.TB, path string) goldens {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g goldens
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// goldenTime is the clock of strftime_now in the goldens.
var goldenTime = time.Date(2026, 3, 7, 9, 5, 0, 0, time.UTC)

func renderJSON(t testing.TB, source string, vars json.RawMessage) (Text, error) {
	p, err := Parse(source)
	if err != nil {
		return Text{}, err
	}
	v, err := FromJSON(vars, User)
	if err != nil {
		t.Fatal(err)
	}
	return p.Render(context.Background(), Input{Vars: v.(*Dict), Now: goldenTime, Bytes: len(vars), Limits: Limits{Time: time.Minute}})
}

// compareGoldens renders every case and gives the table of what is equal.
func compareGoldens(t *testing.T, g goldens) string {
	var b strings.Builder
	for _, tmpl := range g.Templates {
		same, refused, wrong := 0, 0, 0
		for name, vars := range g.Cases {
			got, err := renderJSON(t, tmpl.Source, vars)
			want, ok := tmpl.Out[name]
			switch {
			case !ok && err != nil:
				refused++
			case ok && err == nil && got.String() == want:
				same++
			default:
				wrong++
				t.Errorf("%s, %s: error %v, in Python %q\n%s", tmpl.Name, name, err, tmpl.Error[name], firstDifference(got.String(), want))
			}
		}
		fmt.Fprintf(&b, "%-70s equal %2d, refused by both %2d, differ %d\n", tmpl.Name, same, refused, wrong)
	}
	return b.String()
}

func TestGoldens(t *testing.T) {
	g := readGoldens(t, "testdata/goldens.json")
	if len(g.Templates) < 8 || len(g.Cases) < 17 || len(g.Snippets) < 100 {
		t.Fatalf("%d templates, %d cases, %d snippets", len(g.Templates), len(g.Cases), len(g.Snippets))
	}
	compareGoldens(t, g)
	for _, s := range g.Snippets {
		got, err := renderJSON(t, s.Source, g.SnippetVars)
		switch {
		case s.Out == nil && err == nil:
			t.Errorf("%s\n got %q\n Python: %s", s.Source, got, s.Error)
		case s.Out != nil && err != nil:
			t.Errorf("%s\n error %v\n want %q", s.Source, err, *s.Out)
		case s.Out != nil && got.String() != *s.Out:
			t.Errorf("%s\n%s", s.Source, firstDifference(got.String(), *s.Out))
		}
	}
}

// TestOtherGoldens compares with renderings that are no part of the repository, of the
// templates of real models: set SPECQUANT_TEMPLATE_GOLDENS to a file that
// testdata/golden.py has made of them. It prints a table.
func TestOtherGoldens(t *testing.T) {
	path := os.Getenv("SPECQUANT_TEMPLATE_GOLDENS")
	if path == "" {
		t.Skip("SPECQUANT_TEMPLATE_GOLDENS is not set")
	}
	t.Log("\n" + compareGoldens(t, readGoldens(t, path)))
}

func firstDifference(got, want string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	from := max(0, i-60)
	return fmt.Sprintf("at byte %d:\n got  %q\n want %q", i, got[from:min(len(got), i+80)], want[from:min(len(want), i+80)])
}
