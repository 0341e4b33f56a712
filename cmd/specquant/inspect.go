package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/report"
	"github.com/specquant/specquant/internal/spectrum"
)

type inspectCmd struct {
	Dir     string   `arg:"" help:"Folder of a checkpoint or of a quantized model, or a GGUF file." placeholder:"DIR"`
	Brief   bool     `help:"Leave out what has to read all weights: the spectral energy, the search for weights that are not finite, and the sha256 of all files."`
	Alpha   string   `help:"Smoothing strength α for the spectral energy, 0 to 1, or off." default:"${inspectAlpha}"`
	Calib   []string `help:"Calibration text files for the smoothing. Default: the embedded text." placeholder:"FILE" sep:"none"`
	Seeds   int      `help:"Number of random channel orders that the spectral energy is compared with." default:"${inspectSeeds}"`
	Threads int      `help:"Threads. 0: one for each CPU." default:"0"`
	JSON    bool     `name:"json" help:"Write JSON."`
}

func (c *inspectCmd) Run(e *env) error {
	ck, err := checkpoint.Open(c.Dir)
	if err != nil {
		return err
	}
	defer ck.Close()
	if name := c.ofEnergy(); name != "" && (ck.Config.Quantization != nil || ck.GGUF != nil) {
		return fmt.Errorf("--%s is for the spectral energy, which is shown only for a folder in full precision; leave it out", name)
	}
	if c.JSON {
		return c.writeInspection(e, ck)
	}
	if err := c.architecture(e, ck); err != nil {
		return err
	}
	if ck.Config.Quantization != nil {
		return c.quantized(e, ck)
	}
	if err := ck.Check(); err != nil {
		return err
	}
	if ck.GGUF != nil {
		return c.gguf(e, ck)
	}
	if c.Brief {
		return nil
	}
	rows, alpha, err := c.spectrum(e, ck)
	if err != nil {
		return err
	}
	printSpectrum(e, rows, alpha, c.Seeds)
	return nil
}

// alpha reads the flag.
func (c *inspectCmd) alpha() (recipe.Alpha, error) {
	if c.Alpha == "off" {
		return recipe.Off, nil
	}
	v, err := strconv.ParseFloat(c.Alpha, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return recipe.Off, fmt.Errorf("--alpha %s: expected off, or a number from 0 to 1", c.Alpha)
	}
	return recipe.Alpha(v), nil
}

// spectrum measures how the energy of the layers' weights is distributed over frequencies,
// before and after smoothing with the α that was asked for.
func (c *inspectCmd) spectrum(e *env, ck *checkpoint.Checkpoint) ([]report.SpectrumRow, recipe.Alpha, error) {
	alpha, err := c.alpha()
	if err != nil {
		return nil, alpha, err
	}
	if _, err := ck.Scan(); err != nil { // checks all weights, also those that the calibration text does not use
		return nil, alpha, err
	}
	pool := parallel.NewPool(c.Threads)
	defer pool.Close()
	rows, err := report.Spectrum(e.ctx, c.Dir, report.SpectrumOptions{Pool: pool, Alpha: alpha, Calibration: c.Calib, Windows: 8, Seeds: c.Seeds,
		Progress: func(block, blocks int) {
			if e.isTerm {
				fmt.Fprintf(e.err, "\rblock %d of %d", block, blocks)
				if block == blocks {
					fmt.Fprint(e.err, "\r\x1b[K")
				}
			}
		}})
	return rows, alpha, err
}

func (c *inspectCmd) architecture(e *env, ck *checkpoint.Checkpoint) error {
	m := &ck.Config
	line := func(name, format string, args ...any) {
		fmt.Fprintf(e.out, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("architecture", "%s, %s", m.Architecture, plural.Of(m.Layers, "block"))
	line("hidden", "%d, feed-forward %d", m.HiddenSize, m.IntermediateSize)
	line("attention", "%s of %d, %s", plural.Of(m.Heads, "head"), m.HeadDim, plural.Of(m.KVHeads, "key/value head"))
	rope := fmt.Sprintf("theta %g", m.RopeTheta)
	if m.RopeScaling != nil {
		rope += fmt.Sprintf(", %s scaling by %g", m.RopeScaling.Kind, m.RopeScaling.Factor)
	}
	line("context", "%s, %s", plural.Of(m.MaxPositions, "token"), rope)
	if m.SlidingWindow > 0 {
		line("window", "%s", plural.Of(m.SlidingWindow, "token"))
	}
	for i, part := range m.Describe() {
		name := ""
		if i == 0 {
			name = "parts"
		}
		line(name, "%s", part)
	}
	tied := ""
	if m.TieEmbeddings {
		tied = ", embeddings tied"
	}
	line("vocabulary", "%d%s", m.VocabSize, tied)
	parameters, linear := countWeights(m)
	line("parameters", "%.4g million, %.4g million of them in the blocks' linear layers", float64(parameters)/1e6, float64(linear)/1e6)
	line("on disk", "%s in %s", bytesText(ck.Bytes()), plural.Of(len(ck.Files()), "file"))
	tok, err := gguf.LoadTokenizer(ck)
	if err != nil {
		return err
	}
	line("tokenizer", "%s, %s", tok.Kind(), plural.Of(tok.VocabSize(), "token"))
	for _, w := range tok.Warnings() {
		line("", "note: %s", w)
	}
	talk, err := readConversation(ck)
	if err != nil {
		return err
	}
	if talk.Template != "" {
		line("chat template", "%s", talk.Template)
	}
	if talk.Fails != "" {
		line("", "note: %s", talk.Fails)
	}
	if talk.Sampling != "" {
		line("sampling", "%s, as the makers recommend", talk.Sampling)
	}
	if extra := ck.Extra(); len(extra) > 0 && m.Quantization == nil {
		line("not used", "%s that the architecture does not have", plural.Of(len(extra), "tensor"))
		for _, kind := range foldNames(extra) {
			line("", "%s", kind)
		}
	}
	return nil
}

// countWeights counts all numbers of a model, and those of its blocks' linear layers.
func countWeights(m *checkpoint.Config) (parameters, linear int64) {
	for _, t := range m.Expected() {
		n := int64(1)
		for _, d := range t.Shape {
			n *= int64(d)
		}
		parameters += n
	}
	for i := range m.Layers {
		of := m.Of(i)
		for _, l := range llama.Layers(of) {
			out, in := l.Shape(of)
			linear += int64(out) * int64(in)
		}
	}
	return parameters, linear
}

// quantized describes an artefact by its manifest.
func (c *inspectCmd) quantized(e *env, ck *checkpoint.Checkpoint) error {
	q, err := artefact.ParseQuantization(ck.Config.Quantization, c.Dir+"/config.json")
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%-14s %s, format %d\n", "quantized", q.Bits, q.Version)
	if err := c.files(e, ck); err != nil {
		return err
	}
	m, err := specquant.ReadReport(c.Dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%-14s %s by %s, %.3f bits a weight\n", "recipe", m.Recipe.Name, m.Tool, m.BitsPerWeight)
	if m.Calibration != nil {
		fmt.Fprintf(e.out, "%-14s %s of %s", "calibration", plural.Of(m.Calibration.Windows, "window"), plural.Of(m.Calibration.Tokens, "token"))
		for _, s := range m.Calibration.Sources {
			fmt.Fprintf(e.out, ", %s", s.Name)
		}
		fmt.Fprintln(e.out)
	}
	printLayers(e.out, m.Layers)
	return nil
}

// files prints whether the files are undamaged. With --brief it compares sizes only.
func (c *inspectCmd) files(e *env, ck *checkpoint.Checkpoint) error {
	if c.Brief && ck.Sums() != nil {
		fmt.Fprintf(e.out, "%-14s %d of the sizes that the manifest says; without --brief their sha256 are compared too\n", "files", len(ck.Sums()))
		return nil
	}
	switch err := ck.Verify(); {
	case errors.Is(err, checkpoint.ErrNoSums):
		fmt.Fprintf(e.out, "%-14s not compared: the manifest has no checksums (early versions wrote none); quantize again to add them\n", "files")
	case err != nil:
		return err
	default:
		fmt.Fprintf(e.out, "%-14s %d, each with the sha256 that the manifest says\n", "files", len(ck.Sums()))
	}
	return nil
}

// foldSpectrum replaces the rows of the layers of a block's experts by one for each kind of
// layer and axis, with their means and the extremes of their shuffles.
func foldSpectrum(rows []report.SpectrumRow) (folded []report.SpectrumRow) {
	type key struct {
		name string
		axis spectrum.Axis
	}
	at, count := map[key]int{}, map[key]float64{}
	for _, r := range rows {
		k := key{ofAllExperts(r.Layer), r.Axis}
		i, ok := at[k]
		if !ok {
			if r.Layer = k.name; r.After != nil {
				after := *r.After // not the caller's
				r.After = &after
			}
			at[k], count[k] = len(folded), 1
			folded = append(folded, r)
			continue
		}
		count[k]++
		addEnergy(&folded[i].Before, r.Before, count[k])
		if r.After != nil {
			addEnergy(folded[i].After, *r.After, count[k])
		}
	}
	return folded
}

// addEnergy takes the n-th value into a mean.
func addEnergy(mean *report.Energy, e report.Energy, n float64) {
	mean.Share += (e.Share - mean.Share) / n
	mean.Control += (e.Control - mean.Control) / n
	mean.Least, mean.Most = min(mean.Least, e.Least), max(mean.Most, e.Most)
}

// printSpectrum prints the low-frequency energy as a table with an explanation.
func printSpectrum(e *env, rows []report.SpectrumRow, alpha recipe.Alpha, seeds int) {
	fmt.Fprintf(e.out, "\nEnergy in the lowest %.0f %% of frequencies, beside the mean and range over %s of the channels.\n"+
		"White noise has %.0f %%; the paper reports 92.3 %%.\n", 100*report.LowBand, plural.Of(seeds, "shuffle"), 100*report.LowBand)
	t := newTable()
	head := table.Row{"layer", "axis", "as it is", "shuffled"}
	if alpha != recipe.Off {
		head = append(head, "smoothed, α "+alpha.String(), "shuffled")
	}
	t.AppendHeader(head)
	show := func(x report.Energy) []any {
		return []any{fmt.Sprintf("%.1f %%", 100*x.Share), fmt.Sprintf("%.1f (%.1f–%.1f) %%", 100*x.Control, 100*x.Least, 100*x.Most)}
	}
	outside := map[spectrum.Axis]int{}
	mean := map[spectrum.Axis]*[4]float64{spectrum.OutputChannel: {}, spectrum.InputChannel: {}}
	count := 0
	for _, r := range foldSpectrum(rows) {
		row := append(table.Row{r.Layer, r.Axis}, show(r.Before)...)
		if r.After != nil {
			row = append(row, show(*r.After)...)
		}
		t.AppendRow(row)
	}
	for _, r := range rows {
		m := mean[r.Axis]
		m[0] += r.Before.Share
		m[1] += r.Before.Control
		if r.After != nil {
			m[2] += r.After.Share
			m[3] += r.After.Control
		}
		if r.Axis == spectrum.OutputChannel {
			count++
		}
		if r.Before.Share > r.Before.Most+0.02 {
			outside[r.Axis]++
		}
	}
	t.AppendSeparator()
	for _, axis := range []spectrum.Axis{spectrum.OutputChannel, spectrum.InputChannel} {
		row := table.Row{fmt.Sprintf("mean of %s", plural.Of(count, "layer")), axis}
		for _, v := range mean[axis][:len(head)-2] {
			row = append(row, fmt.Sprintf("%.1f %%", 100*v/float64(count)))
		}
		t.AppendRow(row)
	}
	fmt.Fprintln(e.out, t.Render())
	fmt.Fprintf(e.out, "More than 2 points above every shuffle: %d of %s on the output axis, %d on the input axis.\n",
		outside[spectrum.OutputChannel], plural.Of(count, "layer"), outside[spectrum.InputChannel])
}
