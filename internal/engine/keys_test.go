package engine_test

import (
	"math"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/llama"
)

// TestBalancedKeys holds the runtime to the emulation with balanced keys, token by
// token and many at once, and sees that a cache of 8 bits has none.
func TestBalancedKeys(t *testing.T) {
	ids := []int{257}
	for i := range 60 {
		ids = append(ids, 32+(i*37)%90)
	}
	for bits, want := range map[string]string{"4-16-4": artefact.Balanced, "4-4-4": artefact.Balanced, "4-16-8": artefact.Balanced, "4-16-16": ""} {
		t.Run(bits, func(t *testing.T) {
			dir := quantizeBy(t, "name: t\nbits: "+bits+"\nrotate: {cache: balanced}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {tokens: 64, propagate: runtime}\n", 0)
			ck, err := checkpoint.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			q, err := artefact.ParseQuantization(ck.Config.Quantization, "config.json")
			if err != nil {
				t.Fatal(err)
			}
			if q.Transforms.Cache != want {
				t.Fatalf("transforms.cache is %q, want %q", q.Transforms.Cache, want)
			}
			if ck.Has(llama.TensorPrefix(0)+"cache.mean") != (want != "") {
				t.Errorf("a mean of the keys: %v", want == "")
			}
			emulated := emulate(t, dir, ids)
			m, err := engine.Open(dir, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			got := run(t, m, ids)
			var off, norm float64
			for i := range emulated {
				d := float64(got[i] - emulated[i])
				off += d * d
				norm += float64(emulated[i]) * float64(emulated[i])
			}
			if e := math.Sqrt(off / norm); !(e < 1e-2) { // see TestEmulation
				t.Errorf("relative difference %.2g", e)
			}
			for i, v := range run(t, m, ids, 1, 7, 3) {
				if math.Float32bits(v) != math.Float32bits(got[i]) {
					t.Fatalf("in pieces: logit %d is %v, want %v", i, v, got[i])
				}
			}
		})
	}
}
