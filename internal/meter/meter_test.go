package meter

import (
	"testing"

	"github.com/specquant/specquant/internal/kernel/parallel"
)

func TestMeter(t *testing.T) {
	m := New("factor")
	m.At("a", 1)
	m.At("factor", 2)
	m.At("a", 3)
	if now := m.Now(); now != "a" {
		t.Errorf("under way is %q, expected a", now)
	}
	m.Stop()
	m.Stop() // nothing is under way: nothing happens
	parts := m.Parts()
	if len(parts) != 2 || parts[0].Name != "a" || parts[0].Flops != 4 || parts[0].Wide || !parts[1].Wide || parts[1].Flops != 2 {
		t.Errorf("parts are %+v", parts)
	}
	if parts[0].Seconds <= 0 || m.Now() != "" {
		t.Errorf("a part took %v seconds, under way is %q", parts[0].Seconds, m.Now())
	}
	clock := Clock()
	clock.At("a", 0)
	clock.Stop()
	if p := clock.Parts(); len(p) != 1 || p[0].Seconds <= 0 || p[0].CPU != 0 {
		t.Errorf("by the clock alone, parts are %+v", p)
	}
	var none *Meter
	none.At("a", 1)
	none.Stop()
	if none.Parts() != nil || none.Now() != "" {
		t.Error("a nil meter has parts")
	}
}

func TestShare(t *testing.T) {
	p := Part{CPU: 2, Flops: 100}
	if s := p.Share(100); s != 0.5 {
		t.Errorf("float32: share is %v, expected .5", s)
	}
	p.Wide = true
	if s := p.Share(100); s != 1 {
		t.Errorf("float64: share is %v, expected 1", s)
	}
	if s := p.Share(0); s != 0 {
		t.Errorf("unknown rate: share is %v, expected 0", s)
	}
	pool := parallel.NewPool(1)
	defer pool.Close()
	if r := Rate(pool, 2); r < 0 {
		t.Errorf("rate is %v", r)
	}
}
