package main

import (
	"math"
	"strings"
	"testing"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/report"
	"github.com/specquant/specquant/internal/spectrum"
)

// TestExpertsFolded: a table has a row for each kind of layer of a block's experts, with
// the means of the figures, and other layers as they are.
func TestExpertsFolded(t *testing.T) {
	layers := []specquant.Layer{
		{Name: "model.layers.0.self_attn.q_proj", Error: 0.5, BitsPerWeight: 4},
		{Name: "model.layers.0.mlp.experts.0.up_proj", Alpha: "0.5", Error: 0.1, BitsPerWeight: 4},
		{Name: "model.layers.0.mlp.experts.1.up_proj", Alpha: "0.5", Error: 0.3, BitsPerWeight: 5},
		{Name: "model.layers.0.mlp.experts.12.up_proj", Alpha: "off", Error: 0.2, BitsPerWeight: 6},
		{Name: "model.layers.1.mlp.experts.0.up_proj", Error: 0.9, BitsPerWeight: 4},
	}
	var out strings.Builder
	printLayers(&out, layers)
	for _, want := range []string{"layers.0.self_attn.q_proj", "layers.0.mlp.experts.*.up_proj", "layers.1.mlp.experts.*.up_proj", "0.2000", "5.000", "several"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), "up_proj"); n != 2 {
		t.Errorf("%d rows of up_proj, expected one for each of 2 blocks", n)
	}
	for name, want := range map[string]string{"model.layers.3.mlp.experts.7.down_proj": "experts.*.down_proj", "model.layers.3.mlp.down_proj": "mlp.down_proj", "lm_head": "lm_head"} {
		if got := layerKind(name); got != want {
			t.Errorf("kind of %s: %q, expected %q", name, got, want)
		}
	}
}

// TestSpectrumFolded: so do the rows of inspect's energies.
func TestSpectrumFolded(t *testing.T) {
	row := func(layer string, axis spectrum.Axis, share float64) report.SpectrumRow {
		e := report.Energy{Share: share, Control: share / 2, Least: share / 4, Most: share}
		return report.SpectrumRow{Layer: layer, Axis: axis, Before: e, After: &e}
	}
	rows := []report.SpectrumRow{
		row("model.layers.0.self_attn.q_proj", spectrum.OutputChannel, 0.2),
		row("model.layers.0.mlp.experts.0.up_proj", spectrum.OutputChannel, 0.2),
		row("model.layers.0.mlp.experts.0.up_proj", spectrum.InputChannel, 0.1),
		row("model.layers.0.mlp.experts.1.up_proj", spectrum.OutputChannel, 0.4),
		row("model.layers.0.mlp.experts.1.up_proj", spectrum.InputChannel, 0.3),
	}
	got := foldSpectrum(rows)
	if len(got) != 3 || got[1].Layer != "model.layers.0.mlp.experts.*.up_proj" || math.Abs(got[1].Before.Share-0.3) > 1e-12 || got[1].Before.Most != 0.4 ||
		got[1].Before.Least != 0.05 || math.Abs(got[2].After.Control-0.1) > 1e-12 || rows[1].After.Share != 0.2 {
		t.Errorf("%+v", got)
	}
}
