package recipe

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/quant"
)

// multiplesRecipe is one with multiples as scales.
const multiplesRecipe = `name: multiples
bits: 5-8-8
weights:
  group: 16
  scales: multiples
  clip: hessian
  layers: [{match: down_proj, bits: 6}, {match: v_proj, bits: 16}]
solve:
  method: gptq
  damp: 0.01
  sweeps: 1
`

func parseMultiples(t *testing.T, old, now string) (*Recipe, error) {
	t.Helper()
	if strings.Count(multiplesRecipe, old) != 1 {
		t.Fatalf("%q is not once in the recipe", old)
	}
	return Parse([]byte(strings.Replace(multiplesRecipe, old, now, 1)), "some.yaml")
}

func TestParseMultiples(t *testing.T) {
	r, err := Parse([]byte(multiplesRecipe), "multiples.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if g := r.Weights.Grid(6); g != (quant.Grid{Bits: 6, Group: 16, Zero: quant.ZeroSymmetric, Multiples: true}) {
		t.Errorf("grid %+v", g)
	}
	for _, c := range []struct{ old, now string }{
		{"bits: 5-8-8", "bits: 4-4-4"}, {"bits: 5-8-8", "bits: 3-8-8"}, {"bits: 5-8-8", "bits: 7-16-16"}, {"group: 16", "group: 128"}, {"bits: 6}", "bits: 7}"},
		{"  group: 16\n  scales: multiples", "  group: 32\n  scales: halves"}, {"clip: hessian", "average: 5.5\n  widths: [4, 5, 6, 7]"}, {"clip: hessian", "average: 7"},
	} {
		if _, err := parseMultiples(t, c.old, c.now); err != nil {
			t.Errorf("%s: %v", c.now, err)
		}
	}
}

func TestParseMultiplesRefuses(t *testing.T) {
	for _, c := range []struct {
		old, now string
		want     []string
	}{
		{"scales: multiples", "scales: tenths", []string{"weights.scales", `"tenths"`, "halves, multiples"}},
		{"scales: multiples", "scales: halves", []string{"weights.group", "found 16 with scales halves", "scales: multiples"}},
		{"  scales: multiples\n", "", []string{"weights.group", "found 16"}},
		{"bits: 5-8-8", "bits: 8-8-8", []string{"bits: found weights of 8 bits with weights.scales multiples", "[2 3 4 5 6 7]", "scales: halves"}},
		{"group: 16", "group: 0", []string{"weights.group: found 0 with weights.scales multiples", "16, 32, 64 or 128"}},
		{"clip: hessian", "zero: centred", []string{"weights.zero: found centred with weights.scales multiples", "expected symmetric"}},
		{"clip: hessian", "zero: asymmetric", []string{"weights.zero: found asymmetric"}},
		{"bits: 6}", "bits: 8}", []string{"weights.layers: found 8 bits for down_proj with weights.scales multiples", "or 16"}},
		{"clip: hessian", "average: 7.5", []string{"weights.average: found 7.5", "2 to 7"}},
		{"clip: hessian", "average: 5.5\n  fill: q4_0", []string{"weights.average: found with weights.fill"}},
		{"clip: hessian", "average: 5.5\n  widths: [4, 8]", []string{"weights.widths: found 8"}},
		{"sweeps: 1", "rescale: true", []string{"solve.rescale", "multiples"}},
		{"sweeps: 1", "dynamic-groups: true", []string{"solve.dynamic-groups", "multiples"}},
		{"sweeps: 1", "sweeps: 1\ntune: {epochs: 1, batch: 1}", []string{"tune: found with weights.scales multiples"}},
		{"sweeps: 1", "sweeps: 1\ndistil: {epochs: 1, batch: 1}", []string{"distil: found"}},
		{"sweeps: 1", "sweeps: 1\nlearn: {method: omniquant, epochs: 1, batch: 1}", []string{"learn: found"}},
	} {
		_, err := parseMultiples(t, c.old, c.now)
		if err == nil {
			t.Errorf("%s is accepted", c.now)
			continue
		}
		for _, want := range append(c.want, "recipe some.yaml: ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", c.now, err, want)
			}
		}
	}
}

// TestTables: what output matrix and embedding may have, and what they become with other bits.
func TestTables(t *testing.T) {
	parse := func(tables string) (*Recipe, error) { return Parse([]byte(least+tables+"\n"), "some.yaml") }
	r, err := parse("head: {bits: 6, group: 16, scales: multiples}\nembedding: {bits: 3, group: 128, scales: multiples}")
	if err != nil {
		t.Fatal(err)
	}
	if g := r.Head.Table().Grid(); g != (quant.Grid{Bits: 6, Group: 16, Zero: quant.ZeroSymmetric, Multiples: true}) {
		t.Errorf("output matrix %+v", g)
	}
	if g := r.Embedding.Grid(); g != (quant.Grid{Bits: 3, Group: 128, Zero: quant.ZeroCentred, Multiples: true}) {
		t.Errorf("embedding %+v", g)
	}
	for _, c := range []struct{ from, want Table }{
		{Table{6, 16, quant.ScalesMultiples}, Table{8, 32, quant.ScalesHalves}}, {Table{6, 64, quant.ScalesMultiples}, Table{8, 64, quant.ScalesHalves}},
		{Table{6, 0, quant.ScalesHalves}, Table{8, 0, quant.ScalesHalves}}, {Table{6, 16, quant.ScalesMultiples}, Table{7, 16, quant.ScalesMultiples}},
	} {
		got := c.from.WithBits(c.want.Bits)
		if got != c.want {
			t.Errorf("%+v with %d bits is %+v, want %+v", c.from, c.want.Bits, got, c.want)
		}
		if e := got.Error(); !(e > 0) {
			t.Errorf("%+v: error %v", got, e)
		}
	}
	for tables, want := range map[string]string{
		"head: {bits: 6, group: 16}":                                "head.group: found 16 with scales halves, expected 0 or at least 32; smaller groups need scales: multiples",
		"embedding: {bits: 6, group: 16, scales: halves}":           "embedding.group: found 16 with scales halves",
		"head: {bits: 8, group: 16, scales: multiples}":             "head.bits: found 8 with head.scales multiples, expected one of [2 3 4 5 6 7]; change the bits, or set scales: halves",
		"embedding: {group: 16, scales: multiples}":                 "embedding.bits: found 16 with embedding.scales multiples",
		"embedding: {bits: 4, scales: multiples}":                   "embedding.group: found 0 with embedding.scales multiples, expected 16, 32, 64 or 128",
		"head: {bits: 4, group: 16, scales: tenths}":                "head.scales",
		"embedding: {bits: 4, group: 48, scales: multiples}":        "embedding.group",
		"head: {bits: 4, group: 16, scales: multiples, zero: true}": "zero",
	} {
		if _, err := parse(tables); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "some.yaml") {
			t.Errorf("%s: error %v, want %q", tables, err, want)
		}
	}
}

// TestSetWithoutMultiples: bits and groups that flags ask for replace multiples by 16-bit scales where
// these cannot be, and only there.
func TestSetWithoutMultiples(t *testing.T) {
	type grid struct {
		scales quant.ScaleKind
		zero   quant.ZeroKind
		group  int
	}
	halves := func(group int) grid { return grid{quant.ScalesHalves, quant.ZeroCentred, group} }
	multiples := func(group int) grid { return grid{quant.ScalesMultiples, quant.ZeroSymmetric, group} }
	of := func(r *Recipe) grid { return grid{r.Weights.Scales, r.Weights.Zero, r.Weights.Group} }
	for _, c := range []struct {
		bits, activations, group int
		want                     grid
	}{
		{2, 8, 16, multiples(16)}, {3, 16, 64, multiples(64)}, {3, 4, 16, halves(32)}, {4, 8, 16, multiples(16)}, {7, 16, 128, multiples(128)},
		{8, 8, 16, halves(32)}, {8, 8, 128, halves(128)}, {4, 4, 16, halves(32)}, {5, 4, 64, halves(64)},
	} {
		r, err := parseMultiples(t, "group: 16", fmt.Sprintf("group: %d\n  fill: q4_0", c.group))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SetBits(quant.Bits{Weights: c.bits, Activations: c.activations, KV: 8}); err != nil || of(r) != c.want || r.Weights.Fill != "" {
			t.Errorf("%d-%d-8, groups of %d: %+v, %v, want %+v", c.bits, c.activations, c.group, r.Weights, err, c.want)
		}
	}
	for group, want := range map[int]grid{0: halves(0), 8: halves(8), 16: multiples(16), 32: multiples(32), 48: halves(48), 256: multiples(256)} {
		r, err := parseMultiples(t, "group: 16", "group: 64\n  fill: q4_0")
		if err != nil {
			t.Fatal(err)
		}
		if r.SetGroup(group); of(r) != want || r.Weights.Fill != "" {
			t.Errorf("group %d: %+v, want %+v", group, r.Weights, want)
		}
	}
}

// relativeErrors returns a function that measures the squared error of a grid for normally
// distributed weights, relative to their variance.
func relativeErrors(t *testing.T) func(g quant.Grid) float64 {
	const rows, cols, size = 32, 1536, .02
	rng := rand.New(rand.NewPCG(1, 2))
	w := make([]float32, rows*cols)
	for i := range w {
		w[i] = float32(rng.NormFloat64() * size)
	}
	run := func(n int, fn func(i int)) {
		for i := range n {
			fn(i)
		}
	}
	return func(g quant.Grid) (sum float64) {
		steps, err := g.Scales(w, rows, cols, quant.ClipMSE, run)
		if err != nil {
			t.Fatal(err)
		}
		q, back := make([]int8, len(w)), make([]float32, len(w))
		g.RTN(q, w, steps, rows, cols, run)
		g.Dequantize(back, q, steps, rows, cols, run)
		for i, v := range w {
			sum += float64(v-back[i]) * float64(v-back[i])
		}
		return sum / (rows * cols * size * size)
	}
}

// The default's scales and those of most other recipes.
var gridKinds = []Weights{{Scales: quant.ScalesHalves, Zero: quant.ZeroCentred}, {Scales: quant.ScalesMultiples, Zero: quant.ZeroSymmetric, Group: 16}}

// TestErrors: what a size is filled by are the errors that grids have.
func TestErrors(t *testing.T) {
	loss := relativeErrors(t)
	for _, own := range gridKinds {
		own.Layers, own.Filled = []LayerBits{{"*", 5}, {"down_proj", 6}}, 1
		all := own.Grids()
		for i := 1; i < len(all); i++ {
			if a, b := all[i-1], all[i]; a.Scales == b.Scales && a.Error(4) >= b.Error(4) {
				t.Errorf("%s, groups of %d stand before groups of %d", a.Scales, a.Group, b.Group)
			}
		}
		for _, x := range all {
			if multiples := x.Scales == quant.ScalesMultiples; multiples != (x.Zero == quant.ZeroSymmetric) || x.Can(8) == multiples || !x.Can(7) {
				t.Errorf("%+v", x)
			}
			if len(x.Layers) != 1 || x.Layers[0].Match != "down_proj" || x.Filled != 0 {
				t.Errorf("%+v: layers that were chosen for another size", x)
			}
			for bits := 2; bits <= 8 && x.Can(bits); bits++ {
				want, e := x.Error(bits), loss(x.Grid(bits))
				t.Logf("%s, groups of %d, %d bits: %.2f times variance over 4^bits", x.Scales, x.Group, bits, math.Ldexp(e, 2*bits))
				if math.Abs(e/want-1) > .01 {
					t.Errorf("%s, groups of %d, %d bits: %.4g, the table has %.4g", x.Scales, x.Group, bits, e, want)
				}
			}
		}
	}
}
