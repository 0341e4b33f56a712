package engine_test

import (
	"math"
	"testing"

	"github.com/specquant/specquant/internal/engine"
)

// TestStoredBases holds the runtime to the emulation where layers have branches on
// stored bases, in 16 and in 8 bits, on some of the inputs only.
func TestStoredBases(t *testing.T) {
	ids := []int{257}
	for i := range 60 {
		ids = append(ids, 32+(i*37)%90)
	}
	const rest = "solve: {method: gptq, damp: 0.01}\ncalibration: {tokens: 64}\n"
	for name, c := range map[string]struct {
		yaml  string
		limit float64
	}{
		"klt removed":           {"bits: 4-8-8\nbranch: {basis: klt, axis: output, components: 5, remove: true}\n", 1e-2},
		"klt removed, 8 bits":   {"bits: 4-4-4\nbranch: {basis: klt, axis: output, share: 0.15, bits: 8, remove: true, inputs: [attn, o, mlp]}\n", 2e-2},
		"svd iterated, 8 bits":  {"bits: 4-16-16\nbranch: {basis: svd, axis: output, components: 3, bits: 8, rounds: 3, inputs: [mlp]}\n", 1e-5},
		"svd whitened":          {"bits: 4-16-16\nbranch: {basis: svd, axis: output, components: 3, whiten: true}\n", 1e-5},
		"columns":               {"bits: 4-16-16\nbranch: {basis: columns, axis: output, components: 2}\n", 1e-5},
		"q in 16 bits":          {"bits: 4-16-16\nweights: {layers: [{match: q_proj, bits: 16}]}\nbranch: {basis: klt, axis: output, components: 2}\n", 1e-5},
		"asymmetric mix of 3.5": {"bits: 4-16-16\nweights: {group: 32, zero: asymmetric, average: 3.5, widths: [2, 3, 4, 6]}\n", 1e-5},
	} {
		t.Run(name, func(t *testing.T) {
			dir := quantizeBy(t, "name: t\n"+c.yaml+rest, 0)
			want := emulate(t, dir, ids)
			m, err := engine.Open(dir, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			var off, norm float64
			for i, v := range run(t, m, ids) {
				d := float64(v - want[i])
				off += d * d
				norm += float64(want[i]) * float64(want[i])
			}
			e := math.Sqrt(off / norm)
			t.Logf("relative difference %.2g", e)
			if !(e < c.limit) {
				t.Errorf("relative difference %.2g, more than %g", e, c.limit)
			}
		})
	}
}
