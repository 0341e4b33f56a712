package report

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	for _, top := range []float64{1e-9, 0.003, 0.5, 1, 7, 15, 99, 1e6, 3e307, 0, math.NaN(), math.Inf(1), -1} {
		v := ticks(top, 4)
		if len(v) < 2 || len(v) > 7 || v[0] != 0 {
			t.Errorf("ticks(%g): %v", top, v)
		}
		if last := v[len(v)-1]; top > 0 && !math.IsInf(top, 0) && last < top*(1-1e-6) {
			t.Errorf("ticks(%g) end at %g", top, last)
		}
	}
}

func TestLogAxis(t *testing.T) {
	for _, c := range [][2]float64{{0.05, 1}, {0.03, 0.031}, {1, 1}, {1e-6, 3}, {0.02, 0.02}} {
		a := newAxis(c[0], c[1], true)
		if !a.log || a.lo > c[0] || a.hi < c[1] {
			t.Errorf("%v: axis from %g to %g", c, a.lo, a.hi)
		}
		if lo, hi := a.at(a.lo), a.at(a.hi); lo != 0 || hi != 1 {
			t.Errorf("%v: the ends lie at %g and %g", c, lo, hi)
		}
		for _, x := range a.ticks {
			if p := a.at(x); p < -1e-9 || p > 1+1e-9 {
				t.Errorf("%v: tick %g lies at %g", c, x, p)
			}
		}
	}
	if newAxis(0, 1, true).log || newAxis(-1, 1, true).log {
		t.Error("a logarithmic axis from 0")
	}
}

// wellFormed reports whether a drawing is XML, which a browser would forgive.
func wellFormed(t *testing.T, what, s string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Errorf("%s: %v in %.200s", what, err, s)
			return
		}
	}
}

func TestDrawings(t *testing.T) {
	nan := math.NaN()
	three := []series{{name: "a<b>", class: "s1", v: []float64{0.1, nan, 0.3}}, {name: `"`, class: "s2", v: []float64{0.2, 0.2, 0.2}}, {class: "s3", v: []float64{0.1}}}
	format := func(v float64) string { return "<" + number(v) + ">" }
	for name, s := range map[string]string{
		"panel":  string(panel("<script>", newAxis(0.1, 0.3, true), three, format)),
		"single": string(panel("", newAxis(0, 0, false), []series{{class: "s1", v: []float64{0}}}, format)),
		"empty":  string(panel("", newAxis(0, 0, false), nil, format)),
		"curves": string(curves("a & b", "<", 0, 100, [2]float64{0, 1}, three[:1], three[1:2])),
		"bars":   string(bars("<", []bar{{"&", []float64{1, 2}, ">"}, {"", nil, ""}})),
		"legend": string(legend([2]string{"s1", "<x>"}, [2]string{"s2 thick", "y"}, [2]string{"s3", ""}, [2]string{"bar s1", "&"}, [2]string{"faint", ""}, [2]string{"white", ""})),
	} {
		wellFormed(t, name, s)
		for _, bad := range []string{"NaN", "Inf", "<script>", `="#`} {
			if strings.Contains(s, bad) {
				t.Errorf("%s: contains %q: %s", name, bad, s)
			}
		}
	}
	if s := string(panel("x", newAxis(0.1, 0.3, true), three, format)); strings.Count(s, "<circle") != 2 || strings.Count(s, "<rect") != 3 {
		t.Errorf("a gap is drawn, or a point is not: %s", s)
	}
}

func TestHeat(t *testing.T) {
	f := fold([]float32{0, -4, 1, 2, 3, 0}, 3)
	if f.Rows != 2 || f.Cols != 3 || f.Max != 4 || f.V[1] != 4 {
		t.Errorf("folded to %+v", f)
	}
	wide := make([]float32, 3*1000)
	wide[1000+999], wide[0] = -7, 2
	f = fold(wide, 1000)
	if f.Cols != surfaceCols || f.V[f.Cols+surfaceCols-1] != 7 || f.V[0] != 2 || f.Max != 7 {
		t.Errorf("%d × %d, corner %g", f.Rows, f.Cols, f.V[f.Cols+surfaceCols-1])
	}
	u, err := heat(f, f.Max)
	if err != nil || !strings.HasPrefix(string(u), "data:image/png;base64,") {
		t.Errorf("%.40s, %v", u, err)
	}
	if heatColor(0) != heatStops[0] || heatColor(1) != heatStops[len(heatStops)-1] || heatColor(-3) != heatStops[0] {
		t.Error("the colours' ends are not the stops")
	}
}
