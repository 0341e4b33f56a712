package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/specquant/specquant"
)

// printLayers prints the report of each layer as a table.
func printLayers(w io.Writer, layers []specquant.Layer) {
	t := newTable()
	t.SetOutputMirror(w)
	t.SuppressEmptyColumns() // the recipe decides which errors are measured
	t.AppendHeader(table.Row{"layer", "α", "energy kept", "bits/weight", "output error", "no branch", "plain rounding", "seconds"})
	for _, l := range foldExperts(layers) {
		seconds := ""
		if l.Seconds > 0 { // unknown for blocks of an earlier run and in a manifest
			seconds = fmt.Sprintf("%.2f", l.Seconds)
		}
		t.AppendRow(table.Row{l.Name, l.Alpha, keptText(l.EnergyKept), fmt.Sprintf("%.3f", l.BitsPerWeight), errorText(l.Error), errorText(l.ErrorNoBranch), errorText(l.ErrorRTN), seconds})
	}
	t.Render()
}

func keptText(share float64) string {
	if share > 0 {
		return fmt.Sprintf("%.1f %%", 100*share)
	}
	return ""
}

// errorText formats an error; "" if it was not measured.
func errorText(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.4f", v)
}

// layerKind is a layer's name within its block, such as self_attn.q_proj.
func layerKind(name string) string {
	parts := strings.Split(ofAllExperts(name), ".")
	if len(parts) < 2 {
		return name
	}
	if from := len(parts) - 3; from >= 0 && parts[from] == "experts" {
		return strings.Join(parts[from:], ".")
	}
	return strings.Join(parts[len(parts)-2:], ".")
}

// ofAllExperts is a layer's name with an asterisk for the number of the expert, if it is of
// one.
func ofAllExperts(name string) string {
	head, rest, ok := strings.Cut(name, ".mlp.experts.")
	if !ok {
		return name
	}
	_, layer, _ := strings.Cut(rest, ".")
	return head + ".mlp.experts.*." + layer
}

// foldExperts replaces the layers of a block's experts by one for each kind of layer, with
// means of the figures and the sum of the seconds: a block may have hundreds.
func foldExperts(layers []specquant.Layer) (folded []specquant.Layer) {
	at, count := map[string]int{}, map[string]int{}
	for _, l := range layers {
		name := ofAllExperts(l.Name)
		i, seen := at[name]
		if !seen {
			at[name] = len(folded)
			count[name] = 1
			l.Name = name
			folded = append(folded, l)
			continue
		}
		count[name]++
		f, n := &folded[i], float64(count[name])
		mean := func(of *float64, v float64) { *of += (v - *of) / n }
		mean(&f.EnergyKept, l.EnergyKept)
		mean(&f.BitsPerWeight, l.BitsPerWeight)
		mean(&f.Error, l.Error)
		mean(&f.ErrorNoBranch, l.ErrorNoBranch)
		mean(&f.ErrorRTN, l.ErrorRTN)
		f.Seconds += l.Seconds
		if f.Alpha != l.Alpha {
			f.Alpha = "several"
		}
	}
	return folded
}

// worstLayers is how many layers a summary names.
const worstLayers = 5

// printSummary writes a line for each kind of layer, means over the blocks, and then
// the layers with the largest errors.
func printSummary(w io.Writer, layers []specquant.Layer) {
	kinds := map[string][]specquant.Layer{}
	var order []string
	for _, l := range layers {
		k := layerKind(l.Name)
		if kinds[k] == nil {
			order = append(order, k)
		}
		kinds[k] = append(kinds[k], l)
	}
	t := newTable()
	t.SetOutputMirror(w)
	t.SuppressEmptyColumns()
	t.AppendHeader(table.Row{"kind of layer", "layers", "energy kept", "bits/weight", "output error", "worst", "plain rounding", "fit"})
	for _, k := range order {
		all := kinds[k]
		mean := func(of func(l specquant.Layer) float64) (m float64) {
			for _, l := range all {
				m += of(l) / float64(len(all))
			}
			return m
		}
		worst := slices.MaxFunc(all, byError).Error
		if len(all) == 1 {
			worst = 0
		}
		t.AppendRow(table.Row{k, len(all), keptText(mean(func(l specquant.Layer) float64 { return l.EnergyKept })),
			fmt.Sprintf("%.3f", mean(func(l specquant.Layer) float64 { return l.BitsPerWeight })),
			errorText(mean(func(l specquant.Layer) float64 { return l.Error })), errorText(worst), errorText(mean(func(l specquant.Layer) float64 { return l.ErrorRTN })), fitText(all)})
	}
	t.Render()
	sorted := slices.Clone(layers)
	slices.SortStableFunc(sorted, func(a, b specquant.Layer) int { return -byError(a, b) })
	var worst []string
	for _, l := range sorted[:min(worstLayers, len(sorted))] {
		if l.Error > 0 {
			worst = append(worst, fmt.Sprintf("%s %.4f", l.Name, l.Error))
		}
	}
	if len(worst) > 0 && len(layers) > len(order) { // otherwise the table has just shown them
		fmt.Fprintf(w, "largest output errors: %s\n", strings.Join(worst, ", "))
	}
}

// fitText is the mean strength of the fit to the full-precision model; "" if it was not judged.
func fitText(layers []specquant.Layer) string {
	sum, judged := float32(0), false
	for _, l := range layers {
		if l.Strength != nil {
			sum, judged = sum+*l.Strength, true
		}
	}
	if !judged {
		return ""
	}
	return fmt.Sprintf("%.2f", sum/float32(len(layers)))
}

func byError(a, b specquant.Layer) int { return cmp.Compare(a.Error, b.Error) }
