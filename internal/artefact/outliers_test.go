package artefact

import (
	"slices"
	"testing"
)

func TestOutliers(t *testing.T) {
	v := make([]float32, 101)
	for i := range v {
		v[i] = 1 + float32(i)/1e4
	}
	v[7], v[50], v[3] = 20, 90, 7.9
	out, peak := Outliers(v)
	var channels []int
	for _, o := range out {
		channels = append(channels, o.Channel)
	}
	if !slices.Equal(channels, []int{50, 7}) || peak < 89 || peak > 90 {
		t.Errorf("%v, peak %g", out, peak)
	}
	for i := range 30 {
		v[i] = 100
	}
	if out, _ := Outliers(v); len(out) != outlierCount || out[0].Channel != 0 {
		t.Errorf("%v", out)
	}
	if out, peak := Outliers(make([]float32, 9)); out != nil || peak != 0 {
		t.Errorf("all dead: %v, %g", out, peak)
	}
	if out, peak := Outliers(nil); out != nil || peak != 0 {
		t.Errorf("none: %v, %g", out, peak)
	}
}
