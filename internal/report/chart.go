package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// The charts are SVG generated here: text and lines take their colours from the page's
// style sheet, which has a light and a dark set, and no fonts are embedded. Series differ
// in shape as well as in colour.

// series is one line of a chart. A NaN is a gap.
type series struct {
	name  string
	class string // s1 … s4: colour and, in panels, the mark
	v     []float64
}

// svg collects the elements of a drawing.
type svg struct{ strings.Builder }

func (s *svg) add(format string, args ...any) { fmt.Fprintf(s, format, args...) }

func (s *svg) text(x, y float64, anchor, class, t string) {
	s.add(`<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`, x, y, anchor, class, html.EscapeString(t))
}

// openSVG begins a drawing of the given size; title is read by screen readers.
func openSVG(w, h float64, title string) *svg {
	s := &svg{}
	s.add(`<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, w, h, html.EscapeString(title))
	return s
}

func (s *svg) close() template.HTML {
	s.add("</svg>")
	return template.HTML(s.String()) // every text in it has been escaped
}

// ticks are about n round numbers from 0 to at least top.
func ticks(top float64, n int) []float64 {
	if !(top > 0) || math.IsInf(top, 0) {
		return []float64{0, 1}
	}
	step := math.Pow(10, math.Floor(math.Log10(top/float64(n))))
	for _, m := range []float64{1, 2, 5, 10} {
		if top/(step*m) <= float64(n) {
			step *= m
			break
		}
	}
	var out []float64
	for i := 0; ; i++ {
		out = append(out, float64(i)*step)
		if float64(i)*step >= top*(1-1e-9) {
			return out
		}
	}
}

func tickText(v float64) string {
	if v != 0 && math.Abs(v) < 1e-3 {
		return fmt.Sprintf("%.0e", v)
	}
	return fmt.Sprintf("%g", math.Round(v*1e6)/1e6)
}

// mark draws one point in the shape of its class.
func (s *svg) mark(class string, x, y float64, title string) {
	element := "circle"
	switch class {
	case "s2":
		element = "rect"
		s.add(`<rect class="dot s2" x="%.1f" y="%.1f" width="6" height="6">`, x-3, y-3)
	case "s3":
		element = "path"
		s.add(`<path class="dot s3" d="M%.1f %.1fl3.8 6.4h-7.6z">`, x, y-4)
	default:
		s.add(`<circle class="dot %s" cx="%.1f" cy="%.1f" r="3.4">`, class, x, y)
	}
	s.add(`<title>%s</title></%s>`, html.EscapeString(title), element)
}

// axis is the vertical axis of a panel.
type axis struct {
	lo, hi float64
	log    bool
	ticks  []float64
}

// newAxis makes an axis that covers the values: from 0, or on a logarithmic scale.
func newAxis(least, most float64, log bool) axis {
	if !log || !(least > 0) || math.IsInf(most, 0) {
		t := ticks(most, 4)
		return axis{0, t[len(t)-1], false, t}
	}
	a := axis{log: true, lo: math.Inf(1)}
	for e := math.Floor(math.Log10(least)) - 1; ; e++ {
		for _, m := range []float64{1, 2, 5} {
			t := m * math.Pow(10, e)
			if t <= least {
				a.lo, a.ticks = t, nil
			}
			a.ticks = append(a.ticks, t)
			if t >= most && t > a.lo {
				a.hi = t
				return a
			}
		}
	}
}

// at maps a value to 0 … 1 along the axis.
func (a axis) at(v float64) float64 {
	if a.log {
		return math.Log(v/a.lo) / math.Log(a.hi/a.lo)
	}
	return (v - a.lo) / (a.hi - a.lo)
}

// panel draws values by block.
func panel(title string, vertical axis, all []series, format func(float64) string) template.HTML {
	const w, h, left, right, above, below = 250.0, 170.0, 38.0, 10.0, 28.0, 30.0
	s := openSVG(w, h, title)
	s.text(left, 13, "start", "head", title)
	n := 0
	for _, a := range all {
		n = max(n, len(a.v))
	}
	x := func(i int) float64 {
		if n < 2 {
			return left + (w-left-right)/2
		}
		return left + 8 + (w-left-right-16)*float64(i)/float64(n-1)
	}
	y := func(v float64) float64 { return h - below - (h-above-below)*vertical.at(v) }
	for _, t := range vertical.ticks {
		s.add(`<path class="grid" d="M%.1f %.1fH%.1f"/>`, left, y(t), w-right)
		s.text(left-5, y(t)+3.5, "end", "tick", tickText(t))
	}
	every := max(1, (n+7)/8)
	for i := 0; i < n; i += every {
		label := fmt.Sprint(i)
		if i == 0 {
			label = "block 0"
		}
		s.text(x(i), h-12, "middle", "tick", label)
	}
	for k := len(all) - 1; k >= 0; k-- { // the first series is drawn last, on top
		a := all[k]
		if n > 1 {
			s.path(a.class, a.v, x, y)
		}
		for i, v := range a.v {
			if !math.IsNaN(v) {
				s.mark(a.class, x(i), y(v), fmt.Sprintf("block %d, %s: %s", i, a.name, format(v)))
			}
		}
	}
	return s.close()
}

// path draws a line through the values, broken at gaps.
func (s *svg) path(class string, v []float64, x func(int) float64, y func(float64) float64) {
	s.add(`<path class="line %s" d="`, class)
	pen := "M"
	for i, p := range v {
		if math.IsNaN(p) {
			pen = "M"
			continue
		}
		s.add("%s%.1f %.1f", pen, x(i), y(p))
		pen = "L"
	}
	s.add(`"/>`)
}

// curves draws series over the fraction of the frequencies, 0 to 100 %; y runs from lo to
// hi percent. faint curves are drawn behind and show their names on hover; white noise is a
// line from white[0] to white[1].
func curves(title, yLabel string, lo, hi float64, white [2]float64, faint, all []series) template.HTML {
	const w, h, left, right, above, below = 460.0, 320.0, 52.0, 22.0, 40.0, 46.0
	s := openSVG(w, h, title+": "+yLabel)
	s.text(left, 15, "start", "head", title)
	s.text(left, 31, "start", "tick", yLabel)
	y := func(v float64) float64 { return h - below - (h-above-below)*(100*v-lo)/(hi-lo) }
	xv := func(v float64) float64 { return left + (w-left-right)*v }
	for i := range 6 {
		v := float64(i) / 5
		p := lo + (hi-lo)*v
		s.add(`<path class="grid" d="M%.1f %.1fH%.1fM%.1f %.1fV%.1f"/>`, left, y(p/100), w-right, xv(v), y(lo/100), y(hi/100))
		s.text(left-6, y(p/100)+4, "end", "tick", fmt.Sprintf("%g %%", math.Round(p*100)/100))
		s.text(xv(v), h-below+16, "middle", "tick", fmt.Sprintf("%.0f %%", 100*v))
	}
	s.text(left+(w-left-right)/2, h-10, "middle", "tick", "share of the frequencies, lowest first")
	draw := func(class string, v []float64) {
		s.path(class, v, func(i int) float64 { return xv(float64(i) / float64(len(v)-1)) }, y)
	}
	for _, f := range faint {
		s.add(`<g><title>%s</title>`, html.EscapeString(f.name))
		draw("faint", f.v)
		s.add(`</g>`)
	}
	for k := len(all) - 1; k >= 0; k-- {
		draw(all[k].class+" thick", all[k].v)
	}
	s.add(`<path class="white" d="M%.1f %.1fL%.1f %.1f"/>`, xv(0), y(white[0]), xv(1), y(white[1]))
	return s.close()
}

// bar is one row of stacked bars.
type bar struct {
	name  string
	parts []float64
	label string
}

// bars draws stacked bars on a common scale.
func bars(title string, rows []bar) template.HTML {
	const w, left, right, each, above = 560.0, 76.0, 170.0, 24.0, 28.0
	h := above + each*float64(len(rows)) + 6
	s := openSVG(w, h, title)
	s.text(left, 13, "start", "head", title)
	var top float64
	for _, r := range rows {
		sum := 0.0
		for _, p := range r.parts {
			sum += p
		}
		top = max(top, sum)
	}
	if top == 0 {
		top = 1
	}
	for i, r := range rows {
		y := above + each*float64(i)
		s.text(left-8, y+15, "end", "tick", r.name)
		x := left
		for k, p := range r.parts {
			width := (w - left - right) * p / top
			s.add(`<rect class="bar s%d" x="%.1f" y="%.1f" width="%.1f" height="%.0f"/>`, k+1, x, y+3, width, each-8)
			x += width
		}
		s.text(x+8, y+15, "start", "tick", r.label)
	}
	return s.close()
}

// legend names series under a chart.
func legend(items ...[2]string) template.HTML {
	var b strings.Builder
	b.WriteString(`<p class="legend">`)
	for _, it := range items {
		fmt.Fprintf(&b, `<span><svg class="key" viewBox="0 0 22 12" aria-hidden="true">`)
		switch it[0] {
		case "white":
			b.WriteString(`<path class="white" d="M0 6H22"/>`)
		case "faint":
			b.WriteString(`<path class="line faint" d="M0 6H22"/>`)
		case "point s1", "point s2", "point s3":
			s := &svg{}
			s.mark(it[0][len("point "):], 11, 6, "")
			b.WriteString(s.String())
		case "bar s1", "bar s2":
			fmt.Fprintf(&b, `<rect class="%s" x="4" y="0" width="14" height="12"/>`, it[0])
		default:
			fmt.Fprintf(&b, `<path class="line %s" d="M0 6H22"/>`, it[0])
			if !strings.Contains(it[0], "thick") {
				s := &svg{}
				s.mark(it[0], 11, 6, "")
				b.WriteString(s.String())
			}
		}
		fmt.Fprintf(&b, `</svg>%s</span>`, html.EscapeString(it[1]))
	}
	b.WriteString("</p>")
	return template.HTML(b.String()) // names have been escaped
}
