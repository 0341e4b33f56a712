package eval

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestDeviation: (3, 4) and (0, 2) against (3, 0) and (0, 1), by hand.
func TestDeviation(t *testing.T) {
	var d deviationSum
	add := func(a, b []float64) {
		d.add(func(i int) float64 { return a[i] }, func(i int) float64 { return b[i] }, 2)
	}
	add([]float64{3, 4}, []float64{3, 0}) // error 4/3, cosine 9/(5·3)
	add([]float64{0, 2}, []float64{0, 1}) // error 1, cosine 1
	r := d.result()
	close6(t, "relative", r.Relative, (4./3+1)/2)
	close6(t, "cosine", r.Cosine, .8)
	close6(t, "SNR", r.SNR, 10*math.Log10(10./17))

	d = deviationSum{}
	add([]float64{0, 0}, []float64{0, 0})
	if r := d.result(); r != (Deviation{0, 1, noNoise}) {
		t.Errorf("equal: %+v", r)
	}
	d = deviationSum{}
	add([]float64{1, 0}, []float64{0, 0})
	if r := d.result(); r.Relative != 1 || r.Cosine != 0 || r.SNR != -noNoise {
		t.Errorf("from nothing: %+v", r)
	}
	d = deviationSum{}
	add([]float64{math.Inf(1), 0}, []float64{1, 0})
	if r := d.result(); !math.IsNaN(r.Relative) {
		t.Errorf("not finite: %+v", r)
	}
}

// TestDiff: a model against itself has no error in any block; against another
// it has; the blocks run one by one give the engine's own logits' input.
func TestDiff(t *testing.T) {
	dir := t.TempDir()
	openStream := func(name string, o testmodel.Options) *engine.Model {
		if err := testmodel.Write(filepath.Join(dir, name), o); err != nil {
			t.Fatal(err)
		}
		m, err := engine.Open(filepath.Join(dir, name), engine.Options{Stream: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	a, b := openStream("a", testmodel.Options{Layers: 3}), openStream("b", testmodel.Options{Layers: 3, Seed: 1})
	windows := [][]int{upTo(1, 40), upTo(50, 60)}
	told := 0
	same, err := Diff(context.Background(), a, a, windows, func(BlockError) { told++ })
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range same {
		if e.Stream != (Deviation{0, 1, noNoise}) || e.Own != (Deviation{0, 1, noNoise}) {
			t.Errorf("a model against itself: %+v", e)
		}
	}
	if told != 3 || len(same) != 3 {
		t.Errorf("%d blocks, told of %d", len(same), told)
	}
	other, err := Diff(context.Background(), b, a, windows, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range other {
		if !(e.Stream.Relative > .5) || !(e.Own.Relative > .5) || !(math.Abs(e.Own.Cosine) < .9) {
			t.Errorf("two random models are alike: %+v", e)
		}
	}
	c := openStream("c", testmodel.Options{Layers: 2})
	if _, err := Diff(context.Background(), c, a, windows, nil); err == nil || !strings.Contains(err.Error(), "2 and 3 blocks") {
		t.Errorf("models of different depth: %v", err)
	}
	if _, err := Diff(context.Background(), a, b, [][]int{{300}}, nil); err == nil {
		t.Error("a token outside the vocabulary is accepted")
	}
	if _, err := Diff(context.Background(), a, b, [][]int{make([]int, 65)}, nil); err == nil {
		t.Error("a window past the context is accepted")
	}
}
