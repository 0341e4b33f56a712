package jinja

import (
	"context"
	"testing"
	"time"
)

// FuzzRender parses and renders anything: it must end, without a panic.
func FuzzRender(f *testing.F) {
	g := readGoldens(f, "testdata/goldens.json")
	for _, s := range g.Snippets {
		f.Add(s.Source)
	}
	for _, t := range g.Templates {
		f.Add(t.Source)
	}
	v, err := FromJSON(g.SnippetVars, User)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		p, err := Parse(source)
		if err != nil {
			return
		}
		start := time.Now()
		out, err := p.Render(context.Background(), Input{Vars: v.(*Dict), Now: goldenTime, Limits: Limits{Time: 200 * time.Millisecond}})
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v: %v", took, err)
		}
		at := 0
		for _, u := range out.User() {
			if u.From < at || u.To <= u.From || u.To > len(out.String()) {
				t.Fatalf("spans %v of %d bytes", out.User(), len(out.String()))
			}
			at = u.To
		}
	})
}
