package engine_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestRotationsPreserve: with all layers kept in 16 bits, what a recipe rotates
// leaves the model's predictions as they were, whether it is folded (R1, R2),
// undone by the weights at run time (the inputs, R4) or by the queries (R3).
// The widths are no powers of two: 48 and 70 take other factors.
func TestRotationsPreserve(t *testing.T) {
	dir := t.TempDir()
	calib := filepath.Join(dir, "calib.txt")
	if err := os.WriteFile(calib, []byte(strings.Repeat("Sphinx of black quartz, judge my vow. ", 20)), 0o644); err != nil {
		t.Fatal(err)
	}
	ids := []int{257}
	for i := range 40 {
		ids = append(ids, 32+(i*41)%90)
	}
	pool := parallel.NewPool(2)
	defer pool.Close()
	for _, tied := range []bool{false, true} {
		model := filepath.Join(dir, "model")
		if tied {
			model += "-tied"
		}
		if err := testmodel.Write(model, testmodel.Options{Hidden: 48, Heads: 6, KVHeads: 2, Intermediate: 70, Bias: true, Tied: tied}); err != nil {
			t.Fatal(err)
		}
		full, err := engine.Open(model, engine.Options{Pool: pool})
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		want := run(t, full, ids)
		for name, rotate := range map[string]string{
			"R1":     "residual: hadamard",
			"R2":     "heads: hadamard",
			"R3":     "cache: hadamard",
			"R4":     "down: hadamard",
			"heads":  "o: heads",
			"inputs": "attn: hadamard, o: hadamard, mlp: hadamard",
			"all":    "residual: hadamard, heads: hadamard, cache: hadamard, attn: hadamard, o: hadamard, mlp: hadamard, down: hadamard",
		} {
			for _, head := range []string{"16", "8", "8, transform: hadamard", "7, group: 16, scales: multiples, transform: hadamard"} {
				r, err := recipe.Parse([]byte("name: t\nbits: 4-16-16\nrotate: {"+rotate+", seed: 3}\nweights: {layers: [{match: \"*\", bits: 16}]}\nhead: {bits: "+head+
					"}\nsolve: {method: rtn}\ncalibration: {tokens: 32}\n"), "t")
				if err != nil {
					t.Fatal(err)
				}
				out := filepath.Join(dir, filepath.Base(model)+name+head)
				if _, err := pipeline.Run(t.Context(), pipeline.Options{Dir: model, Out: out, Recipe: r, Calibration: []string{calib}, Pool: pool}); err != nil {
					t.Fatal(err)
				}
				m, err := engine.Open(out, engine.Options{Pool: pool})
				if err != nil {
					t.Fatal(err)
				}
				got := run(t, m, ids)
				m.Close()
				var off, norm float64
				for i := range want {
					d := float64(got[i] - want[i])
					off += d * d
					norm += float64(want[i]) * float64(want[i])
				}
				limit := 4e-3 // 16-bit weights give half of it without a rotation; a wrong one gives about 1
				if head != "16" {
					limit = 2e-2
					if tied { // the embedding is rounded too, before all blocks
						limit = 5e-2
						if head[0] == '7' { // with 16-bit scales of groups of 32 as much
							limit = 0.2
						}
					}
				}
				if e := math.Sqrt(off / norm); !(e < limit) {
					t.Errorf("tied %v, %s, head in %s bits: logits differ by %.2g, more than %g", tied, name, head, e, limit)
				}
			}
		}
	}
}
