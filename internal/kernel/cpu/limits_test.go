package cpu

import (
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestMeasureLimits: every loop of the tier in use runs and takes time.
func TestMeasureLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 256 MB")
	}
	pool := parallel.NewPool(1)
	defer pool.Close()
	l := MeasureLimits(pool, 1)
	if l.Read <= 0 || Active() > Portable && l.FMA <= 0 {
		t.Errorf("%+v on %v", l, Active())
	}
	if best := Active(); (best == NEONDot || best >= AVX512VNNI) && l.Int8 <= 0 {
		t.Errorf("no peak of int8 on %v", best)
	}
}
