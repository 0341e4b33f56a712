package engine_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/specquant/specquant/internal/artefact"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
)

// TestActivationGroups holds the runtime to the emulation where channels share
// grids in groups, and says so in the artefact where there are 4 bits only.
func TestActivationGroups(t *testing.T) {
	ids := []int{257}
	for i := range 60 {
		ids = append(ids, 32+(i*37)%90)
	}
	for _, c := range []struct {
		bits    string
		group   int // of channels
		weights string
		rest    string
		stored  int
	}{
		{"4-4-16", 16, "", "", 16},
		{"4-4-4", 32, "group: 32", "branch: {basis: dft, axis: output, components: 3, importance: interaction, temperature: 1}\n", 32},
		{"4-4-16", 32, "group: 64, zero: asymmetric", "", 32},
		{"3-4-16", 64, "group: 32, zero: centred", "branch: {basis: klt, axis: output, components: 4, remove: true}\n", 64},
		{"4-8-16", 32, "", "", 0},
	} {
		t.Run(fmt.Sprint(c.bits, " in ", c.group, " weights ", c.weights), func(t *testing.T) {
			yaml := fmt.Sprintf("name: t\nbits: %s\nactivations: {clip: 0.95, group: %d}\nsolve: {method: gptq, damp: 0.01}\ncalibration: {tokens: 64, propagate: runtime}\n%s", c.bits, c.group, c.rest)
			if c.weights != "" {
				yaml += "weights: {" + c.weights + "}\n"
			}
			dir := quantizeBy(t, yaml, 0)
			ck, err := checkpoint.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			q, err := artefact.ParseQuantization(ck.Config.Quantization, "config.json")
			if err != nil {
				t.Fatal(err)
			}
			if q.ActGroup != c.stored {
				t.Errorf("activation_group is %d, want %d", q.ActGroup, c.stored)
			}
			want := emulate(t, dir, ids)
			m, err := engine.Open(dir, engine.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			got := run(t, m, ids)
			var off, norm float64
			for i := range want {
				d := float64(got[i] - want[i])
				off += d * d
				norm += float64(want[i]) * float64(want[i])
			}
			e := math.Sqrt(off / norm)
			t.Logf("relative difference %.2g", e)
			if !(e < 1e-2) { // see TestEmulation
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
