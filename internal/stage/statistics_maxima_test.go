package stage

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestMaximaOnly: without the sums, maxima, sample and errors are the same.
func TestMaximaOnly(t *testing.T) {
	pool := parallel.NewPool(2)
	defer pool.Close()
	const width, tokens = 300, 40
	r := rand.New(rand.NewPCG(1, 2))
	whole, maxima := NewStats(width, 2*tokens, 16), NewStats(width, 2*tokens, 16)
	maxima.MaximaOnly()
	x := make([]float32, tokens*width)
	for range 2 {
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		if err := errors.Join(whole.Add(pool, x, tokens), maxima.Add(pool, x, tokens)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(whole.AbsMax, maxima.AbsMax) || !slices.Equal(whole.Sample, maxima.Sample) || whole.Tokens != maxima.Tokens {
		t.Error("other maxima or another sample")
	}
	maxima.Reset()
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		bad := slices.Clone(x)
		bad[7*width+299] = float32(v)
		bad[9*width+3] = float32(v)
		var at *NonFiniteError
		if err := maxima.Add(pool, bad, tokens); !errors.As(err, &at) || at.Token != 7 || at.Channel != 299 {
			t.Errorf("%v: %v", v, err)
		}
	}
}
