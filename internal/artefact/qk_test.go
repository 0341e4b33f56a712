package artefact

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
)

// TestQK: queries and keys have the products that they had, less that of the query
// with the mean, with the matrices as they are stored, but for their rounding to 16-bit
// floats.
func TestQK(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	c := &checkpoint.Config{Heads: 4, KVHeads: 2, HeadDim: 12}
	mean, keys := make([]float32, 24), make([]float32, 2*12*12)
	for i := range mean {
		mean[i] = float32(rng.NormFloat64() * 4)
	}
	for i := range keys { // spread as little as those that are balanced
		keys[i] = float32(rng.NormFloat64() / 6)
		if i%(12*12)%(12+1) == 0 {
			keys[i]++
		}
	}
	for name, keys := range map[string][]float32{"balanced": keys, "centred": nil} {
		stored, err := NewQK(c, mean, keys)
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, s := range stored.Tensors("block.", c) {
			bytes += len(s.Data)
		}
		if bytes != stored.Bytes() {
			t.Errorf("%s: %d bytes are stored, Bytes says %d", name, bytes, stored.Bytes())
		}
		f, err := stored.Transform(c)
		if err != nil {
			t.Fatal(err)
		}
		q, k := make([]float32, 48), make([]float32, 24)
		for i := range q {
			q[i] = float32(rng.NormFloat64())
		}
		for i := range k {
			k[i] = float32(rng.NormFloat64())
		}
		want, lengths := make([]float64, 4), make([]float64, 4)
		center := toFloat(stored.Mean)
		for h := range want {
			var qq, kk float64
			for i := range 12 {
				a, b := float64(q[h*12+i]), float64(k[h/2*12+i])-float64(center[h/2*12+i])
				want[h] += a * b
				qq += a * a
				kk += b * b
			}
			lengths[h] = math.Sqrt(qq * kk)
		}
		f.Apply(nil, q, k)
		for h := range want {
			var got float64
			for i := range 12 {
				got += float64(q[h*12+i]) * float64(k[h/2*12+i])
			}
			if math.Abs(got-want[h]) > 1e-3*lengths[h] {
				t.Errorf("%s: head %d: product %v, want %v of vectors with the lengths' product %v", name, h, got, want[h], lengths[h])
			}
		}
	}
	if _, err := NewQK(c, append([]float32{1e6}, mean[1:]...), nil); err == nil || !strings.Contains(err.Error(), "kv head 0") {
		t.Errorf("a mean that no 16-bit float holds: error %v", err)
	}
	singular, err := NewQK(c, mean, make([]float32, len(keys)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := singular.Transform(c); err == nil || !strings.Contains(err.Error(), "no inverse") {
		t.Errorf("matrices of zeros: error %v", err)
	}
}
