package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/compare"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
)

// Page is what the HTML report shows. Everything except Subject may be missing; the page
// then names the flag that would add it.
type Page struct {
	Subject  *Subject
	Look     *Look
	Quality  *Quality
	Overlaps []eval.Overlap
	Table    *compare.Table // a comparison that has a row of the subject
	Tool     string
	Against  string // folder of the checkpoint, "" if none was given
}

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) },
	"number":  number,
	"fixed":   func(digits int, v float64) string { return fmt.Sprintf("%.*f", digits, v) },
	"bytes":   bytesText,
	"hash":    func(s string) string { return s[:min(16, len(s))] },
	"base":    filepath.Base,
	"giga":    func(v float64) string { return fmt.Sprintf("%.1f", v/1e9) },
}).Parse(pageHTML))

// number formats an error; "" for none.
func number(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f", v)
}

func bytesText(n int64) string { return input.SizeText(n) }

// view is the data for the template.
type view struct {
	*Page
	Title      string
	Found      []Finding
	Healthy    bool
	Known      bool // the errors of layers are known
	Size       int64
	Hash       string // eval.ModelHash
	Profile    *meter.Profile
	Parameters string
	Rows       []layerRow
	Experts    int // of a block; 0: none

	Errors, Budgets, Clipping []template.HTML
	ErrorKeys, BudgetKeys     template.HTML
	Bits                      template.HTML
	BitsKeys                  template.HTML
	Energy, Excess            []template.HTML
	EnergyKeys                template.HTML
	EnergyText                []string
	Surfaces                  []surfaceView
	Tradeoff                  *tradeoff
}

type layerRow struct {
	*Layer
	Bad   bool
	Shown float64 // output error
}

type surfaceView struct {
	Surface
	Pictures [4]template.URL
	Smooth   string
}

// Write writes the page, which refers to nothing outside itself.
func (p *Page) Write(w io.Writer) error {
	v := &view{Page: p, Size: p.Subject.Checkpoint.Bytes(), Title: filepath.Base(filepath.Clean(p.Subject.Dir))}
	var n int64
	for _, t := range p.Subject.Config.Expected() {
		e := int64(1)
		for _, d := range t.Shape {
			e *= int64(d)
		}
		n += e
	}
	v.Parameters = fmt.Sprintf("%.4g million", float64(n)/1e6)
	var err error
	if v.Hash, err = eval.ModelHash(p.Subject.Checkpoint); err != nil {
		return err
	}
	if v.Profile, err = meter.ReadProfile(p.Subject.Dir); err != nil {
		return err
	}
	if p.Subject.Quantization != nil {
		v.layers()
		if p.Table != nil {
			if v.Tradeoff, err = newTradeoff(p.Table, p.Subject); err != nil {
				return err
			}
		}
	}
	if p.Look != nil {
		if err := v.pictures(); err != nil {
			return err
		}
	}
	return pageTemplate.Execute(w, v)
}

// kind is the short name of a layer within its block.
func kind(w llama.Which) string {
	_, name, _ := strings.Cut(w.String(), ".")
	return name
}

// byKind collects a value of each layer of a kind into a series over the blocks: of experts'
// layers the mean of those that have it.
func (v *view) byKind(w llama.Which, f func(*Layer) float64) []float64 {
	out, count := make([]float64, v.Subject.Config.Layers), make([]int, v.Subject.Config.Layers)
	for i := range v.Subject.Layers {
		l := &v.Subject.Layers[i]
		if l.Which != w {
			continue
		}
		if x := f(l); l.Expert < 0 {
			out[l.Block], count[l.Block] = x, 1
		} else if !math.IsNaN(x) {
			out[l.Block] += x
			count[l.Block]++
		}
	}
	for b, n := range count {
		if n == 0 {
			out[b] = math.NaN()
		} else {
			out[b] /= float64(n)
		}
	}
	return out
}

// shown lists the layers that the table of all layers has: of a block's experts only the worst
// of each kind, because there may be thousands.
func (s *Subject) shown() (layers []*Layer) {
	worse := func(a, b *Layer) bool {
		x, _ := a.OutputError()
		y, _ := b.OutputError()
		return x > y
	}
	for i := range s.Layers {
		l := &s.Layers[i]
		at := slices.IndexFunc(layers, func(o *Layer) bool { return o.Block == l.Block && o.Which == l.Which })
		switch {
		case at < 0:
			layers = append(layers, l)
		case worse(l, layers[at]):
			layers[at] = l
		}
	}
	return layers
}

// panels draws one panel for each kind, all on the same scale.
func (v *view) panels(log bool, all []series, f []func(*Layer) float64, format func(float64) string) []template.HTML {
	least, top := math.Inf(1), 0.0
	for i := range v.Subject.Layers {
		for _, g := range f {
			if x := g(&v.Subject.Layers[i]); !math.IsNaN(x) {
				least, top = min(least, x), max(top, x)
			}
		}
	}
	vertical := newAxis(least, top, log)
	var out []template.HTML
	for w := range llama.NumLinears {
		s := append([]series(nil), all...)
		for k := range s {
			s[k].v = v.byKind(w, f[k])
		}
		out = append(out, panel(kind(w), vertical, s, format))
	}
	return out
}

func orGap(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}

// layers prepares the data on quantized layers: what is wrong with them, the table and the charts.
func (v *view) layers() {
	s := v.Subject
	d := diagnose(s, v.Look, v.Overlaps, v.Quality)
	v.Found, v.Healthy = d.found, Healthy(d.found)
	plain, branch, clipped := false, false, false
	for i := range s.Layers {
		l := &s.Layers[i]
		_, ok := l.OutputError()
		v.Known = v.Known || ok
		plain = plain || l.ErrorRTN > 0
		branch = branch || l.Kept != nil
		clipped = clipped || l.Clipped > 0
	}
	for _, l := range s.shown() {
		e, _ := l.OutputError()
		v.Rows = append(v.Rows, layerRow{l, d.badLayer(l), e})
	}
	v.Experts = s.Config.Experts.Count
	if v.Known {
		v.errorCharts(branch, plain)
	}
	v.bitsChart()
	if branch {
		v.Budgets = v.panels(false, []series{{name: "mean", class: "s1"}, {name: "most", class: "s2"}, {name: "least", class: "s3"}},
			[]func(*Layer) float64{func(l *Layer) float64 { return keptOf(l.Kept, 1) }, func(l *Layer) float64 { return keptOf(l.Kept, 2) }, func(l *Layer) float64 { return keptOf(l.Kept, 0) }},
			func(x float64) string { return fmt.Sprintf("%.3g components", x) })
		v.BudgetKeys = legend([2]string{"s2", "the channel with most"}, [2]string{"s1", "mean over the channels"}, [2]string{"s3", "the channel with least"})
	}
	if clipped {
		v.Clipping = v.panels(false, []series{{name: "clipped", class: "s1"}}, []func(*Layer) float64{func(l *Layer) float64 { return 100 * l.Clipped }},
			func(x float64) string { return fmt.Sprintf("%.2f %%", x) })
	}
}

// errorCharts draws the output error of each kind of layer over the blocks. branch, plain: the errors without the branch and of
// plain rounding are known too.
func (v *view) errorCharts(branch, plain bool) {
	all := []series{{name: "this model", class: "s1"}}
	keys := [][2]string{{"s1", "this model"}}
	f := []func(*Layer) float64{func(l *Layer) float64 { e, _ := l.OutputError(); return orGap(e) }}
	if branch {
		all = append(all, series{name: "without the branch", class: "s2"})
		keys = append(keys, [2]string{"s2", "without the branch"})
		f = append(f, func(l *Layer) float64 { return orGap(l.ErrorNoBranch) })
	}
	if plain {
		all = append(all, series{name: "plain rounding", class: "s3"})
		keys = append(keys, [2]string{"s3", "plain rounding of the original"})
		f = append(f, func(l *Layer) float64 { return orGap(l.ErrorRTN) })
	}
	v.Errors = v.panels(true, all, f, func(x float64) string { return fmt.Sprintf("%.3f", x) })
	v.ErrorKeys = legend(keys...)
}

// bitsChart draws the bits per weight of each kind of layer.
func (v *view) bitsChart() {
	var rows []bar
	for w := range llama.NumLinears {
		mean := func(f func(*Layer) float64) float64 {
			sum := 0.0
			for _, x := range v.byKind(w, f) {
				sum += x / float64(v.Subject.Config.Layers)
			}
			return sum
		}
		all, b := mean(func(l *Layer) float64 { return l.BitsPerWeight }), mean(func(l *Layer) float64 { return l.BranchBits })
		label := fmt.Sprintf("%.3f bits", all)
		if b > 0 {
			label += fmt.Sprintf(", branch %.3f", b)
		}
		rows = append(rows, bar{kind(w), []float64{all - b, b}, label})
	}
	v.Bits = bars("bits a weight, mean over the blocks", rows)
	v.BitsKeys = legend([2]string{"bar s1", "integers and scales"}, [2]string{"bar s2", "16-bit branch"})
}

// keptOf is the smallest (0), mean (1) or largest (2) of a layer's budgets.
func keptOf(kept []int, what int) float64 {
	if len(kept) == 0 {
		return math.NaN()
	}
	least, most, sum := kept[0], kept[0], 0
	for _, k := range kept {
		least, most, sum = min(least, k), max(most, k), sum+k
	}
	return []float64{float64(least), float64(sum) / float64(len(kept)), float64(most)}[what]
}

// excess is a cumulative curve minus that of white noise; lo and hi, in percent, are
// widened to include it.
func excess(v []float64, lo, hi *float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = v[i] - float64(i)/float64(len(v)-1)
		*lo, *hi = min(*lo, 100*out[i]), max(*hi, 100*out[i])
	}
	return out
}

// lowBand is the fraction of the spectrum for which the paper gives a figure.
const lowBand = 0.2

// pictures prepares energy curves and surfaces.
func (v *view) pictures() error {
	if e := v.Look.Energy; e != nil {
		for _, a := range e.Axes {
			var faint []series
			i, most := int(lowBand*energyPoints), 0
			for k, l := range a.Layers {
				faint = append(faint, series{name: l.Name, v: l.Share})
				if l.Share[i] > a.Layers[most].Share[i] {
					most = k
				}
			}
			title := fmt.Sprintf("%s channels (%s of W)", a.Axis, map[bool]string{true: "rows", false: "columns"}[a.Axis == spectrum.OutputChannel])
			named := []series{{class: "s1", v: a.Mean}, {class: "s3", v: a.Smoothed}, {class: "s2", v: a.Control}}
			v.Energy = append(v.Energy, curves(title, "share of the energy", 0, 100, [2]float64{0, 1}, faint, named))
			lo, hi := 0.0, 0.0
			for i := range faint {
				faint[i].v = excess(faint[i].v, &lo, &hi)
			}
			for i := range named {
				named[i].v = excess(named[i].v, &lo, &hi)
			}
			step := max(1, math.Ceil((hi-lo)/5))
			lo = step * math.Floor(lo/step)
			v.Excess = append(v.Excess, curves(title, "share of the energy above white noise's, points", lo, lo+step*5, [2]float64{0, 0}, faint, named))
			v.EnergyText = append(v.EnergyText, fmt.Sprintf("On the %s axis, the lowest %.0f %% of the frequencies hold %.1f %% of the energy; with the channels shuffled %.1f %%; after smoothing %.1f %%; most has layer %s, %.1f %%.",
				a.Axis, 100*lowBand, 100*a.Mean[i], 100*a.Control[i], 100*a.Smoothed[i], a.Layers[most].Name, 100*a.Layers[most].Share[i]))
		}
		v.EnergyKeys = legend([2]string{"s1 thick", "mean of the layers"}, [2]string{"s2 thick", "the same, channels shuffled: the control"},
			[2]string{"s3 thick", "mean after smoothing"}, [2]string{"faint", "single layers"}, [2]string{"white", "white noise"})
	}
	for _, s := range v.Look.Surfaces {
		x := surfaceView{Surface: s, Smooth: "α " + s.Alpha.String()}
		if s.Alpha == recipe.Off {
			x.Smooth = "no smoothing was chosen for it"
		}
		act, weight := max(s.Act.Max, s.ActAfter.Max), max(s.Weight.Max, s.WeightAfter.Max)
		for i, f := range []Field{s.Act, s.ActAfter, s.Weight, s.WeightAfter} {
			top := act
			if i > 1 {
				top = weight
			}
			var err error
			if x.Pictures[i], err = heat(f, top); err != nil {
				return err
			}
		}
		v.Surfaces = append(v.Surfaces, x)
	}
	return nil
}
