package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// Finding is one thing that is wrong or costly, with its cause and remedy.
type Finding struct {
	Bad     bool     `json:"bad"`               // otherwise a note: it costs something, but does not explain bad output
	Where   string   `json:"where"`             // layer or layers, or "the model"
	Channel string   `json:"channel,omitempty"` // of the layer's input or output; "": no particular channel
	Cause   string   `json:"cause"`             // in a few words
	Detail  string   `json:"detail"`            // what was measured, with figures
	Remedy  []string `json:"remedy,omitempty"`  // flags or lines of the recipe, any one of which may help
}

// Thresholds of the findings: well above the values of small trained models at these bits,
// and well below those of planted faults.
const (
	badError    = 0.15 // relative output error of a layer …
	badError4   = 0.30 // … whose activations have 4 bits
	worseThan   = 2.5  // times the median layer's error is also bad, …
	worthError  = 0.10 // … if it is at least this
	heavyPart   = 0.07 // half of the weights' error in at most this fraction of the channels is no accident
	badClipped  = 0.05 // fraction of the weights beyond the grid
	dearBranch  = 0.05 // the branch's fraction of all bits …
	branchGain  = 0.05 // … must lower the output error by this fraction
	badRatio    = 1.25 // perplexity relative to full precision …
	badKL       = 0.10 // … or KL divergence of the predictions, nats per token
	dearKL      = 0.03 // worth a note: the best that 2 bits achieve; 4 bits do better
	fewTokens   = 4    // calibration tokens per channel of the widest input
	zeroWeights = 0.60 // fraction of integers that are zero; Gaussian rows at 4 bits have about 0.15
)

// levels is how many steps of the activation grid the median channel's largest value spans,
// if the largest channel's value is peak times that. The grid covers both signs.
func levels(bits int, peak float64) float64 { return float64(int(1)<<bits-1) / 2 / peak }

// fewLevels: below this value of levels, most channels are lost to rounding.
const fewLevels = 0.5

// Diagnose lists what is wrong with a quantized model, worst first. look may be nil,
// overlaps empty. A model without a finding that is Bad is, as far as can be measured, as
// good as its bits allow.
func Diagnose(s *Subject, look *Look, overlaps []eval.Overlap) []Finding {
	return diagnose(s, look, overlaps, nil).found
}

// diagnose is [Diagnose] with a measurement of the model, or nil; it takes precedence over
// the job's own comparison.
func diagnose(s *Subject, look *Look, overlaps []eval.Overlap, quality *Quality) *diagnosis {
	d := &diagnosis{Subject: s, look: look, recipe: s.Manifest.Recipe, quality: quality}
	d.check() // first, because its findings affect the others
	d.outliers()
	d.layers()
	d.scales()
	d.experts()
	d.calibration(overlaps)
	d.branch()
	slices.SortStableFunc(d.found, func(a, b Finding) int {
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return -1
		}
		return 1
	})
	return d
}

// Fold shortens a list for display: of findings with the same cause and remedy it keeps the
// first few, and adds to the last of them how many more there are.
func Fold(found []Finding, most int) []Finding {
	type kind struct {
		cause, remedy string
		bad           bool
	}
	count, kept := map[kind]int{}, map[kind]int{}
	for _, f := range found {
		count[kind{f.Cause, strings.Join(f.Remedy, "\n"), f.Bad}]++
	}
	var out []Finding
	for _, f := range found {
		k := kind{f.Cause, strings.Join(f.Remedy, "\n"), f.Bad}
		if kept[k]++; kept[k] > most {
			continue
		}
		if rest := count[k] - most; kept[k] == most && rest > 0 {
			f.Detail += fmt.Sprintf("; and %s with the same finding", plural.Of(rest, "more place"))
		}
		out = append(out, f)
	}
	return out
}

// Healthy reports whether none of the findings is bad.
func Healthy(found []Finding) bool {
	return !slices.ContainsFunc(found, func(f Finding) bool { return f.Bad })
}

type diagnosis struct {
	*Subject
	look    *Look
	quality *Quality // nil: not measured
	recipe  *recipe.Recipe
	found   []Finding
	lost    bool         // the model as a whole predicts badly
	blamed  map[int]bool // layers whose error has a cause
}

func (d *diagnosis) add(f Finding) { d.found = append(d.found, f) }

// blame marks layers whose error has been explained.
func (d *diagnosis) blame(layers ...int) {
	if d.blamed == nil {
		d.blamed = map[int]bool{}
	}
	for _, i := range layers {
		d.blamed[i] = true
	}
}

// input returns what is known about one input: from the job, otherwise from a short run.
func (d *diagnosis) input(block int, at place) (outliers []artefact.Outlier, after float64) {
	l := &d.Layers[d.reading(block, at.in, at.expert)[0]]
	if l.Peak > 0 {
		return l.Outliers, l.Peak
	}
	if i := d.look.input(block, at); i != nil {
		return i.Outliers, i.After
	}
	return nil, 0
}

// input is what a look, which may be nil, knows of an input; nil: nothing.
func (k *Look) input(block int, at place) *Input {
	if k == nil {
		return nil
	}
	n, _ := slices.BinarySearchFunc(k.Inputs, block, func(i Input, block int) int { return i.Block - block })
	if n += int(at.in) + max(at.expert, 0); k.Inputs[n].Tokens > 0 {
		return &k.Inputs[n]
	}
	return nil
}

// outliers finds inputs whose largest channel leaves the others too few levels, and weights
// whose error is concentrated in a few channels.
func (d *diagnosis) outliers() {
	bits := d.Quantization.Bits.Activations
	for block := range d.Config.Layers {
		for _, at := range inputsOf(d.Config.Of(block)) {
			outliers, after := d.input(block, at)
			readers := d.reading(block, at.in, at.expert)
			errors := d.errorsOf(readers)
			var heavy []int
			worst := false
			for _, i := range readers {
				l := &d.Layers[i]
				worst = worst || d.badLayer(l)
				if m := l.Measured; m != nil && d.bad(m.Weights) && float64(len(m.Channels)) <= heavyPart*float64(l.In) && len(m.Channels) > len(heavy) {
					heavy = m.Channels
				}
			}
			where := inputName(block, at)
			measured := "output error not known"
			if errors != nil {
				measured = "output error " + strings.Join(errors, ", ")
			}
			switch {
			case bits < 16 && after > 0 && levels(bits, after) < fewLevels && (worst || errors == nil):
				d.blame(readers...)
				d.add(Finding{Bad: true, Where: where, Channel: channels(outliers), Cause: "outlier channels in the activations",
					Detail: fmt.Sprintf("the largest channel reaches %.0f times the median one: of %s, the median channel spans %.2f; %s", after, plural.Of(1<<bits, "level"), 2*levels(bits, after), measured),
					Remedy: d.smoothMore()})
			case heavy != nil && worst:
				d.blame(readers...)
				d.add(Finding{Bad: true, Where: where, Channel: numbers(heavy), Cause: "small weights on channels with large activations",
					Detail: fmt.Sprintf("half of the weights' error comes through %d of %s; %s", len(heavy), plural.Of(d.Layers[readers[0]].In, "channel"), measured),
					Remedy: d.smoothMore()})
			}
		}
	}
}

// inputName names an input in findings.
func inputName(block int, at place) string {
	return fmt.Sprintf("block %d, input of %s%s", block, at.in, ofExpert(at.expert))
}

// errorsOf lists the known output errors of layers; of several experts' layers of a kind only
// the largest.
func (d *diagnosis) errorsOf(layers []int) (text []string) {
	for w := range llama.NumLinears {
		worst, known, experts := -1.0, 0, false
		for _, i := range layers {
			l := &d.Layers[i]
			if e, ok := l.OutputError(); ok && l.Which == w {
				worst, known, experts = max(worst, e), known+1, l.Expert >= 0
			}
		}
		switch {
		case known > 1 && experts:
			text = append(text, fmt.Sprintf("%s at most %.2f", shortName(w), worst))
		case known > 0:
			text = append(text, fmt.Sprintf("%s %.2f", shortName(w), worst))
		}
	}
	return text
}

func shortName(w llama.Which) string {
	_, name, _ := strings.Cut(w.String(), ".")
	return name
}

func numbers(v []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(v), "[]"), " ", ", ")
}

func channels(outliers []artefact.Outlier) string {
	var out []string
	for i, o := range outliers {
		if i == 6 {
			out = append(out, "…")
			break
		}
		if o.Ratio < outliers[0].Ratio/4 {
			break // not large enough to determine the grid
		}
		out = append(out, fmt.Sprintf("%d (%.0f×)", o.Channel, o.Ratio))
	}
	return strings.Join(out, ", ")
}

// badLayer reports whether a layer's output error is known to be bad.
func (d *diagnosis) badLayer(l *Layer) bool {
	e, known := l.OutputError()
	return known && d.bad(e)
}

// bad reports whether an output error is bad.
func (d *diagnosis) bad(e float64) bool {
	limit := badError
	if d.Quantization.Bits.Activations == 4 {
		limit = badError4
	}
	return e >= limit || e >= worthError && e >= worseThan*d.median()
}

// median is the median output error of all layers; 0 if none is known.
func (d *diagnosis) median() float64 {
	var all []float64
	for i := range d.Layers {
		if e, ok := d.Layers[i].OutputError(); ok {
			all = append(all, e)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// layers finds clipping, dead channels, raised damping, and layers that are bad for no
// reason found so far.
func (d *diagnosis) layers() {
	for i := range d.Layers {
		l := &d.Layers[i]
		if l.Clipped >= badClipped {
			d.blame(i)
			d.add(Finding{Bad: d.badLayer(l), Where: l.Name, Cause: "clipped weights",
				Detail: fmt.Sprintf("%.1f %% of the weights lie beyond the ends of their grid", 100*l.Clipped),
				Remedy: append(d.weights(func(w *recipe.Weights) { w.Clip = quant.ClipNone }), d.groups()...)})
		}
		at, first := inputOf(l)
		if l.DeadChannels > 0 && first {
			d.add(Finding{Bad: l.DeadChannels*4 > l.In, Where: inputName(l.Block, at), Cause: "dead columns",
				Channel: d.dead(l.Block, at),
				Detail:  fmt.Sprintf("%d of %s are 0 in every calibration token, so their weights are rounded to nearest; a longer and more varied text may use them", l.DeadChannels, plural.Of(l.In, "input channel")),
				Remedy:  []string{"--calib FILE"}})
		}
		if damp := d.recipe.Solve.Damp; l.Damp > damp*1.5 && l.Which == l.Which.Input().Readers()[0] {
			own := place{l.Which.Input(), l.Expert} // each expert has a Hessian of its own
			d.add(Finding{Bad: l.Damp >= 99*damp, Where: inputName(l.Block, own), Cause: "raised damping",
				Detail: fmt.Sprintf("the Hessian was not positive definite; damping was raised from %g to %g of its mean diagonal, which is closer to plain rounding; use more calibration text", damp, l.Damp),
				Remedy: append([]string{"--calib FILE"}, samples(d.recipe, d.Manifest.Calibration)...)})
		}
		if d.badLayer(l) && !d.blamed[i] {
			e, _ := l.OutputError()
			f := Finding{Bad: true, Where: l.Name, Cause: "the grid is too coarse for these weights", Remedy: d.finer(l)}
			f.Detail = fmt.Sprintf("output error %.2f, the median layer's is %.2f", e, d.median())
			if m := l.Measured; m != nil && m.Activations > m.Weights {
				f.Cause = "the activations have too few bits"
				f.Detail += fmt.Sprintf("; %.2f by the activations, %.2f by the weights", m.Activations, m.Weights)
				f.Remedy = d.smoothMore()
			}
			d.add(f)
		}
		if l.ErrorRTN > 0 && l.Error > 1.02*l.ErrorRTN && !d.blamed[i] {
			d.add(Finding{Bad: d.bad(l.Error), Where: l.Name, Cause: "worse than plain rounding",
				Detail: fmt.Sprintf("output error %.3f, plain rounding of the original %.3f; a calibration text closer to what the model was trained on may do better", l.Error, l.ErrorRTN),
				Remedy: append([]string{"--calib FILE"}, d.solve()...)})
		}
	}
}

// dead lists dead channels, if a short run has found them.
func (d *diagnosis) dead(block int, at place) string {
	if i := d.look.input(block, at); i != nil {
		return numbers(i.Dead)
	}
	return ""
}

// inputOf is the input that a layer reads. first: of all that read it, findings on the input
// are given for this one.
func inputOf(l *Layer) (at place, first bool) {
	at = place{l.Which.Input(), -1}
	first = l.Which == at.in.Readers()[0]
	if l.Expert >= 0 && at.in == llama.DownInput {
		at.expert = l.Expert
	} else if l.Expert > 0 {
		first = false // the first expert's is the same
	}
	return at, first
}

// experts finds experts that calibration has hardly or not reached.
func (d *diagnosis) experts() {
	for block := range d.Config.Layers {
		n, few, none := d.Config.Of(block).Experts.Count, 0, 0
		for i := d.first(block); i < len(d.Layers) && d.Layers[i].Block == block; i++ {
			l := &d.Layers[i]
			if l.Expert < 0 || l.Which != llama.Down || l.Tokens == nil {
				continue
			}
			switch {
			case *l.Tokens == 0:
				none++
			case l.Borrowed:
				few++
			}
		}
		if few+none > 0 {
			d.add(Finding{Bad: 4*none > n, Where: fmt.Sprintf("block %d, experts", block), Cause: "experts with little calibration text",
				Detail: fmt.Sprintf("of %s calibration sent too few tokens to %d and none to %d; they were calibrated on tokens of others, too", plural.Of(n, "expert"), few, none),
				Remedy: append([]string{"--calib FILE"}, samples(d.recipe, d.Manifest.Calibration)...)})
		}
	}
}

// scales finds scales that 16-bit floats represent badly, and rows that are all zero.
func (d *diagnosis) scales() {
	for i := range d.Layers {
		l := &d.Layers[i]
		if l.LeastScale > 0 && l.LeastScale < subnormal {
			d.add(Finding{Bad: l.LeastScale < 16.0/(1<<24), Where: l.Name, Cause: "a scale underflows 16-bit floats",
				Detail: fmt.Sprintf("the smallest scale is %.2g, below %.2g, where 16-bit floats lose digits", l.LeastScale, subnormal),
				Remedy: append(d.weights(func(w *recipe.Weights) { *w = w.Halves(0) }), "a checkpoint without rows near zero")})
		}
		if l.MostScale > 65504/4 {
			d.add(Finding{Where: l.Name, Cause: "a scale is near the largest 16-bit float",
				Detail: fmt.Sprintf("the largest scale is %.3g, the format ends at 65504", l.MostScale), Remedy: []string{smoothLine(d.recipe.Smooth, "[off, 0.25]")}})
		}
		if l.ZeroRows > 0 {
			d.add(Finding{Bad: l.ZeroRows*4 > l.Out, Where: l.Name, Cause: "output channels of zeros",
				Detail: fmt.Sprintf("%d of %s are all zero except for the branch", l.ZeroRows, plural.Of(l.Out, "output channel")), Remedy: d.finer(l)})
		} else if l.ZeroShare > zeroWeights {
			d.add(Finding{Bad: d.badLayer(l), Where: l.Name, Cause: "most weights round to zero",
				Detail: fmt.Sprintf("%.0f %% of the integers are 0: few large weights stretch the grid of their row", 100*l.ZeroShare),
				Remedy: d.finer(l)})
		}
	}
}

// calibration finds calibration text that is too short, or that is also the evaluation
// text.
func (d *diagnosis) calibration(overlaps []eval.Overlap) {
	for _, o := range overlaps {
		if o.Any() {
			d.add(Finding{Bad: o.Same, Where: "the model", Cause: "calibrated on the evaluation text",
				Detail: o.String() + ": its figures there are flattered; calibrate on another", Remedy: []string{"--calib FILE"}})
		}
	}
	c := d.Manifest.Calibration
	if c == nil {
		return
	}
	width := 0
	for _, kind := range d.Config.Kinds() {
		of := d.Config.Of(kind)
		for in := range llama.NumInputs {
			if of.Experts.Count == 0 || in < llama.MLPInput { // those of experts have their own finding
				width = max(width, in.Width(of))
			}
		}
	}
	if n := c.Windows * c.Tokens; n < fewTokens*width && d.recipe.NeedsCalibration() {
		d.add(Finding{Bad: n < width, Where: "the model", Cause: "the calibration is too short for the width",
			Detail: fmt.Sprintf("%s for inputs of up to %s, expected %d or more", plural.Of(n, "token"), plural.Of(width, "channel"), fewTokens*width),
			Remedy: append([]string{"--calib FILE"}, samples(d.recipe, c)...)})
	}
}

// branch finds a branch that costs more than it is worth.
func (d *diagnosis) branch() {
	var bits, all, with, without float64
	worst, most := -1, 0.0
	for i := range d.Layers {
		l := &d.Layers[i]
		n := float64(l.Out) * float64(l.In)
		bits += n * l.BranchBits
		all += n * l.BitsPerWeight
		if share := l.BranchBits / l.BitsPerWeight; share > most {
			worst, most = i, share
		}
		if l.BranchBits > 0 && l.ErrorNoBranch > 0 {
			with += l.Error
			without += l.ErrorNoBranch
		}
	}
	if bits == 0 || without == 0 || bits/all < dearBranch || with < without*(1-branchGain) {
		return
	}
	l := &d.Layers[worst]
	d.add(Finding{Where: "the model; most in " + l.Name, Cause: "the branch eats bits",
		Detail: fmt.Sprintf("it is %.1f %% of all bits (%.1f %% in this layer) and changes the mean output error by %+.1f %%", 100*bits/all, 100*most, 100*(with/without-1)),
		Remedy: append([]string{"branch: null"}, d.groups()...)})
}

// check compares the model as a whole with full precision: by a measurement, otherwise by
// the job's own comparison.
func (d *diagnosis) check() {
	var ref, got, kl, top1 float64
	where := ""
	if q := d.quality; q != nil {
		ref, got, kl, top1 = q.PerplexityRef.Mean, q.Perplexity.Mean, q.KL.Mean, q.Top1.Mean
		where = fmt.Sprintf("%s of %s", plural.Of(q.Tokens, "token"), q.Text)
	} else if k := d.Manifest.Check; k != nil {
		ref, got, kl, top1 = k.PerplexityRef, k.Perplexity, k.KL, k.Top1
		where = plural.Of(k.Tokens, "calibration token")
		if k.HeldOut {
			where = plural.Of(k.Tokens, "held-out token")
		}
		if k.Overfitted() {
			d.add(Finding{Where: "the model", Cause: "it has learned its calibration text",
				Detail: fmt.Sprintf("KL divergence %.3g on held-out text, %.3g on the text that the weights were fitted to", kl, k.KLFitted),
				Remedy: []string{"calibrate on more and other text (--calib), or leave out solve.correct, tune and distil"}})
		}
	} else {
		return
	}
	worse := ref > 0 && got >= badRatio*ref
	d.lost = worse || kl >= badKL
	if !d.lost && kl < dearKL {
		return
	}
	f := Finding{Bad: d.lost, Where: "the model", Cause: "it predicts badly", Remedy: d.wholeRemedy(),
		Detail: fmt.Sprintf("perplexity %.4g where full precision has %.4g, KL divergence %.3g, top-1 agreement %.1f %%, on %s", got, ref, kl, 100*top1, where)}
	if !d.lost {
		f.Cause = "it predicts otherwise than full precision"
	}
	d.add(f)
}
