package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestBenchFits: what is measured fits the model's context, unless it is said, and
// then it must.
func TestBenchFits(t *testing.T) {
	n := func(v int) *int { return &v }
	for _, c := range []struct {
		cmd             benchCmd
		limit           int
		prefill, decode int
		context         int
		err             string
	}{
		{benchCmd{}, 8192, 512, 64, 512, ""},
		{benchCmd{}, 256, 256, 64, 256, ""},
		{benchCmd{}, 64, 64, 63, 64, ""},
		{benchCmd{}, 2, 2, 1, 2, ""},
		{benchCmd{}, 1, 0, 0, 0, "--ctx"},
		{benchCmd{Ctx: 4000}, 4096, 512, 64, 4065, ""},
		{benchCmd{Ctx: 4090}, 4096, 512, 6, 4096, ""},
		{benchCmd{Ctx: 4096}, 4096, 0, 0, 0, "--ctx: found 4096 tokens, expected fewer than the model's context of 4096"},
		{benchCmd{Prefill: []int{16, 300}}, 256, 0, 0, 0, "--prefill: found 300 tokens, the model's context is 256"},
		{benchCmd{Decode: n(256)}, 256, 0, 0, 0, "--decode: found 256 tokens after 1 token, the model's context is 256"},
		{benchCmd{Decode: n(255)}, 256, 256, 255, 256, ""},
		{benchCmd{Decode: n(0), Prefill: []int{4}}, 256, 4, 0, 4, ""},
	} {
		context, err := c.cmd.fit(c.limit)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v in %d: %v, want %s", c.cmd, c.limit, err, c.err)
			}
			continue
		}
		if err != nil || c.cmd.Prefill[0] != c.prefill || c.cmd.decodeTokens != c.decode || context != c.context {
			t.Errorf("%+v in %d: context %d, %v; want %d, %d and %d", c.cmd, c.limit, context, err, c.prefill, c.decode, c.context)
		}
	}
}

// TestMedian: the median of few rounds is none of the extremes, and a share lies
// between nothing and all, whatever the clock says.
func TestMedian(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{4, 2}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{8, 1, 4, 2}, 3}, {[]float64{5, 5, 5, 5, 100}, 5}} {
		if got := medianOf(c.v); got != c.want {
			t.Errorf("%v: %v, want %v", c.v, got, c.want)
		}
	}
	for _, c := range [][3]float64{{1, 0.75, 0.25}, {1, 1, 0}, {1, 5.96, 0}, {1, 0, 1}} {
		if got := shareOf(c[0], c[1]); got != c[2] {
			t.Errorf("%v with, %v without: %v, want %v", c[0], c[1], got, c[2])
		}
	}
}

// TestBenchShape: what bench measures for a shape has the formats of what quantize makes of a
// checkpoint of that shape, by default and with flags.
func TestBenchShape(t *testing.T) {
	for _, tie := range []bool{false, true} {
		in := t.TempDir()
		if err := testmodel.Write(in, testmodel.Options{Hidden: 256, Intermediate: 512, Tied: tie}); err != nil {
			t.Fatal(err)
		}
		ck, err := checkpoint.Open(in)
		if err != nil {
			t.Fatal(err)
		}
		shape := ck.Config
		ck.Close()
		name := fmt.Sprintf("test, tied %v", tie)
		engine.Shapes[name] = shape
		t.Cleanup(func() { delete(engine.Shapes, name) })
		for _, o := range []specquant.QuantizeOptions{{}, {Bits: "4-4-16"}, {Recipe: "rtn"}, {Recipe: "specquant", Bits: "3-8-8"}} {
			o.KeepBad = true
			out := filepath.Join(t.TempDir(), "out")
			if _, err := specquant.Quantize(t.Context(), in, out, o); err != nil {
				t.Fatal(err)
			}
			m, err := engine.Open(out, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := *m.Quantization
			m.Close()
			if m, err = (&benchCmd{Shape: name, Recipe: o.Recipe, Bits: o.Bits}).random(engine.Options{}); err != nil {
				t.Fatal(err)
			}
			got := *m.Quantization
			m.Close()
			if got.Bits != want.Bits || got.Group != want.Group || got.ActGroup != want.ActGroup || got.Head != want.Head || got.HeadGroup != want.HeadGroup || got.HeadScales.IsZero() != want.HeadScales.IsZero() ||
				got.Embedding != want.Embedding || got.EmbeddingGroup != want.EmbeddingGroup || got.EmbeddingScales.IsZero() != want.EmbeddingScales.IsZero() || got.Zero != want.Zero || got.Transforms != want.Transforms ||
				!maps.Equal(got.Layers, want.Layers) || (got.Branch == nil) != (want.Branch == nil) || got.Branch != nil && *got.Branch != *want.Branch {
				t.Errorf("%s, recipe %q at %q: bench measures\n%+v, quantize makes\n%+v", name, o.Recipe, o.Bits, got, want)
			}
		}
	}
}
