package engine

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testmodel"
)

// TestKVOption: a model without a quantized cache of its own gets one of the bits that are
// asked for, which takes less memory and changes the logits little.
func TestKVOption(t *testing.T) {
	dir := t.TempDir() + "/m"
	if err := testmodel.Write(dir, testmodel.Options{Layers: 2, Context: 256}); err != nil {
		t.Fatal(err)
	}
	run := func(bits int) (logits []float32, each int64) {
		t.Helper()
		m, err := Open(dir, Options{KV: bits})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if m.Bits().KV != bits {
			t.Errorf("%d bits asked for, %d in use", bits, m.Bits().KV)
		}
		if err := m.Forward(t.Context(), []Step{{Seq: m.NewSequence(), IDs: someIDs(150), Want: WantLast}}, func(_, _ int, l []float32) error {
			logits = slices.Clone(l)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return logits, m.CacheBytes()
	}
	want, full := run(16)
	for _, bits := range []int{8, 4} {
		got, each := run(bits)
		var off, size float64
		for i, v := range got {
			off, size = off+math.Pow(float64(v-want[i]), 2), size+math.Pow(float64(want[i]), 2)
		}
		if ratio := math.Sqrt(off / size); ratio == 0 || ratio > 0.2 || bits == 8 && ratio > 0.02 {
			t.Errorf("%d bits: the logits are off by %.4f of their size", bits, ratio)
		}
		if each >= full*int64(bits)/16 {
			t.Errorf("%d bits: %d bytes a token, %d as float32", bits, each, full)
		}
	}
	if _, err := Open(dir, Options{KV: 5}); err == nil || !strings.Contains(err.Error(), "5 bits") {
		t.Errorf("5 bits: error %v", err)
	}
}
