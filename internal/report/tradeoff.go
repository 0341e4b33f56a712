package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant/internal/compare"
	"github.com/specquant/specquant/internal/plural"
)

// tradeoff is the picture of quality against size: the rows of a comparison as points, with
// this model's marked.
type tradeoff struct {
	Picture  template.HTML
	Keys     template.HTML
	Protocol string
}

// newTradeoff draws the rows of t. It is an error if none of them is of the subject: the same
// bytes, made by the same recipe or measured under the same name.
func newTradeoff(t *compare.Table, s *Subject) (*tradeoff, error) {
	own := -1
	for i, r := range t.Rows {
		named := r.Recipe == s.Manifest.Recipe.Name || filepath.Base(filepath.Clean(r.Recipe)) == filepath.Base(filepath.Clean(s.Dir))
		if named && r.Bytes == s.Checkpoint.Bytes() {
			own = i
		}
	}
	if own < 0 {
		return nil, fmt.Errorf("the table has no row of %s, whose recipe is %s and whose weights take %s; measure it in the same table with specquant compare --also %s --json",
			s.Dir, s.Manifest.Recipe.Name, plural.Of(s.Checkpoint.Bytes(), "byte"), s.Dir)
	}
	return &tradeoff{Picture: scatter(t, own), Protocol: t.Protocol,
		Keys: legend([2]string{"point s1", "this model"}, [2]string{"point s2", "other settings and recipes"}, [2]string{"point s3", "existing models"}, [2]string{"white", "the least loss of its size or smaller"})}, nil
}

// scatter draws KL divergence, on a logarithmic scale, over the size on disk. Full precision,
// whose divergence is 0, is left out.
func scatter(t *compare.Table, own int) template.HTML {
	const w, h, left, right, above, below = 760.0, 400.0, 60.0, 150.0, 40.0, 44.0
	var shown []int
	least, most, largest := math.Inf(1), 0.0, 0.0
	for i, r := range t.Rows {
		if kl := r.KL.Mean; r.Recipe != compare.FullPrecision && kl > 0 && !math.IsInf(kl, 0) {
			shown = append(shown, i)
			least, most, largest = min(least, kl), max(most, kl), max(largest, float64(r.TotalBytes)/1e6)
		}
	}
	s := openSVG(w, h, "quality against size")
	s.text(left, 15, "start", "head", "KL divergence from full precision, nats a token")
	vertical, across := newAxis(least, most, true), newAxis(0, largest, false)
	x := func(bytes int64) float64 { return left + (w-left-right)*across.at(float64(bytes)/1e6) }
	y := func(v float64) float64 { return h - below - (h-above-below)*vertical.at(v) }
	for _, v := range vertical.ticks {
		s.add(`<path class="grid" d="M%.1f %.1fH%.1f"/>`, left, y(v), w-right)
		s.text(left-6, y(v)+3.5, "end", "tick", tickText(v))
	}
	for _, v := range across.ticks {
		s.text(x(int64(v*1e6)), h-below+16, "middle", "tick", tickText(v))
	}
	s.text(left+(w-left-right)/2, h-8, "middle", "tick", "MB on disk, tokenizer and all")
	s.add(`<path class="white" d="%s"/>`, frontier(t, shown, x, y, w-right))
	var labels labelled
	for _, i := range shown {
		r := &t.Rows[i]
		class, name := "s2", strings.TrimSuffix(filepath.Base(filepath.Clean(r.Recipe)), ".yaml")
		if r.Bits != compare.AsItIs {
			name += " " + r.Bits
		}
		switch {
		case i == own:
			class = "s1"
		case r.Seconds == 0: // it was not made for the table
			class = "s3"
		}
		px, py := x(r.TotalBytes), y(r.KL.Mean)
		s.mark(class, px, py, fmt.Sprintf("%s: KL %.5f ± %.5f, perplexity %.4g, %s", name, r.KL.Mean, r.KL.StdErr, r.Perplexity.Mean, bytesText(r.TotalBytes)))
		if i == own {
			s.add(`<circle class="ring" cx="%.1f" cy="%.1f" r="8"><title>%s</title></circle>`, px, py, html.EscapeString(name))
		}
		s.text(px+11, labels.place(px, py, name), "start", "tick", name)
	}
	return s.close()
}

// labelled are the places of labels that are drawn already: left end, base line, width.
type labelled [][3]float64

// place returns the base line of a label to the right of a point: beside it or, where that
// would lie over another label, as far below as necessary.
func (l *labelled) place(x, y float64, label string) float64 {
	const height, perLetter = 11.0, 6.0
	width := perLetter * float64(len(label))
	y += 3.5
	for i := 0; i < len(*l); i++ {
		if o := (*l)[i]; x < o[0]+o[2] && o[0] < x+width && math.Abs(y-o[1]) < height {
			y, i = o[1]+height, -1
		}
	}
	*l = append(*l, [3]float64{x, y, width})
	return y
}

// frontier is the path of a stair below which no row lies: the least divergence of that size
// or a smaller one.
func frontier(t *compare.Table, shown []int, x func(int64) float64, y func(float64) float64, end float64) string {
	var path strings.Builder
	for at, best := int64(0), math.Inf(1); ; {
		next := -1
		for _, i := range shown {
			r := &t.Rows[i]
			if r.KL.Mean >= best {
				continue
			}
			if next < 0 || r.TotalBytes < t.Rows[next].TotalBytes || r.TotalBytes == t.Rows[next].TotalBytes && r.KL.Mean < t.Rows[next].KL.Mean {
				next = i
			}
		}
		if next < 0 {
			if at > 0 {
				fmt.Fprintf(&path, "H%.1f", end)
			}
			return path.String()
		}
		r := &t.Rows[next]
		if at == 0 {
			fmt.Fprintf(&path, "M%.1f %.1f", x(r.TotalBytes), y(r.KL.Mean))
		} else {
			fmt.Fprintf(&path, "H%.1fV%.1f", x(r.TotalBytes), y(r.KL.Mean))
		}
		at, best = r.TotalBytes, r.KL.Mean
	}
}
