package spectrum

import (
	"math"
	"reflect"
	"sort"
	"testing"
)

func TestEnergyParseval(t *testing.T) {
	forAxes(t, func(t *testing.T, axis Axis, basis string) {
		for _, shape := range [][2]int{{1, 1}, {1, 7}, {7, 1}, {33, 20}, {40, 172}} {
			w := normal32(newRand(1), shape[0]*shape[1])
			c, err := Energy(w, shape[0], shape[1], axis, basis, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := norm2(w); math.Abs(c.Total-want) > 1e-12*want {
				t.Errorf("%v: total %v, ‖W‖² %v", shape, c.Total, want)
			}
			if s := c.Share(1); math.Abs(s-1) > 1e-12 {
				t.Errorf("%v: the whole spectrum holds %v", shape, s)
			}
			for _, f := range []float64{0, -1, math.NaN()} {
				if s := c.Share(f); s != 0 {
					t.Errorf("%v: share(%v) = %v, want 0", shape, f, s)
				}
			}
			par, err := Energy(w, shape[0], shape[1], axis, basis, two)
			if err != nil || !reflect.DeepEqual(c, par) {
				t.Errorf("%v: threads change the curve (%v)", shape, err)
			}
		}
	})
}

func TestShareOfWhite(t *testing.T) {
	forAxes(t, func(t *testing.T, axis Axis, basis string) {
		const rows, cols = 301, 300
		w := normal32(newRand(2), rows*cols)
		c, err := Energy(w, rows, cols, axis, basis, nil)
		if err != nil {
			t.Fatal(err)
		}
		// The share's standard error is √(2p(1−p)/values): 0.0019 at p = 0.2.
		for _, p := range []float64{.001, .01, .2, .5, .9} {
			if got, tol := c.Share(p), 4*math.Sqrt(2*p*(1-p)/(rows*cols)); math.Abs(got-p) > tol {
				t.Errorf("share(%v) = %v ± %v", p, got, tol)
			}
		}
	})
}

func TestShareInterpolates(t *testing.T) {
	// Powers of DC, one pair and Nyquist: boundaries at 1, 3 and 4 coefficients.
	c := Curve{Basis: "dft", Len: 4, Power: []float64{.5, .4, .1}}
	for _, tt := range []struct{ f, want float64 }{
		{.125, .25}, {.25, .5}, {.5, .7}, {.75, .9}, {.875, .95}, {1, 1}, {2, 1},
	} {
		if got := c.Share(tt.f); math.Abs(got-tt.want) > 1e-15 {
			t.Errorf("share(%v) = %v, want %v", tt.f, got, tt.want)
		}
	}
}

// smooth is a matrix whose channels vary slowly along the transformed axis:
// what the paper supposes weights to be.
func smooth(axis Axis, rows, cols int) []float32 {
	w := make([]float32, rows*cols)
	for j := range rows {
		for i := range cols {
			c, t, n := j, i, cols
			if axis == InputChannel {
				c, t, n = i, j, rows
			}
			w[j*cols+i] = float32(1 + math.Cos(2*math.Pi*(float64(t)/float64(n)+float64(c)*.1)))
		}
	}
	return w
}

func TestShuffledControl(t *testing.T) {
	forAxes(t, func(t *testing.T, axis Axis, basis string) {
		const rows, cols = 96, 130
		w := smooth(axis, rows, cols)
		// Without DC, which no order of the channels changes.
		channels, n := axis.Shape(rows, cols)
		buf := newBlockBuf(n, channels)
		for i := range blocks(channels) {
			lo, hi := span(i, channels)
			buf.load(w, cols, axis, lo, hi, nil)
			for c := range hi - lo {
				x := buf.channel(c)
				m := mean(x)
				for t := range x {
					x[t] = -m
				}
			}
			buf.addTo(w, cols, axis, lo, hi, 1)
		}
		natural, err := Energy(w, rows, cols, axis, basis, nil)
		if err != nil {
			t.Fatal(err)
		}
		control, err := ShuffledEnergy(w, rows, cols, axis, basis, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := natural.Share(.2); got < .95 {
			t.Errorf("smooth channels: the lowest fifth holds %v", got)
		}
		if got := control.Share(.2); got > .45 {
			t.Errorf("after the shuffle the lowest fifth still holds %v", got)
		}
		if math.Abs(control.Total-natural.Total) > 1e-12*natural.Total {
			t.Error("the shuffle changes the energy")
		}
		again, _ := ShuffledEnergy(w, rows, cols, axis, basis, 5, two)
		if !reflect.DeepEqual(control, again) {
			t.Error("the same seed gives another curve")
		}
		other, _ := ShuffledEnergy(w, rows, cols, axis, basis, 6, nil)
		if reflect.DeepEqual(control.Power, other.Power) {
			t.Error("another seed gives the same curve")
		}
	})
}

func TestPermutation(t *testing.T) {
	p := permutation(172, 1)
	q := append([]int(nil), p...)
	sort.Ints(q)
	for i, v := range q {
		if i != v {
			t.Fatalf("not a permutation: %v", p)
		}
	}
	if sort.IntsAreSorted(p) {
		t.Error("nothing was shuffled")
	}
	if got := permutation(8, 1); !reflect.DeepEqual(got, []int{2, 7, 1, 5, 6, 4, 0, 3}) {
		t.Errorf("seed 1 gives %v: published controls would change", got)
	}
}

func TestEnergyOfNothing(t *testing.T) {
	c, err := Energy(make([]float32, 12), 3, 4, OutputChannel, "dft", nil)
	if err != nil || c.Total != 0 || c.Share(.2) != 0 || c.Share(1) != 0 {
		t.Errorf("zeros: %+v, %v", c, err)
	}
	nan := []float32{1, float32(math.NaN())}
	for name, fn := range map[string]func() error{
		"not finite": func() error { _, err := Energy(nan, 1, 2, OutputChannel, "dft", nil); return err },
		"shape":      func() error { _, err := Energy(nan, 2, 2, OutputChannel, "dft", nil); return err },
		"no rows":    func() error { _, err := ShuffledEnergy(nil, 0, 2, OutputChannel, "dft", 1, nil); return err },
		"basis":      func() error { _, err := Energy(nan, 1, 2, OutputChannel, "fft", nil); return err },
		"axis":       func() error { _, err := ShuffledEnergy(nan, 1, 2, Axis(7), "dft", 1, nil); return err },
	} {
		if fn() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
