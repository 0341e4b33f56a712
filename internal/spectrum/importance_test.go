package spectrum

import (
	"math"
	"testing"
)

// TestScoreGolden: W = [[1 −2 3], [0 4 −1]], worked by hand.
func TestScoreGolden(t *testing.T) {
	w := []float32{1, -2, 3, 0, 4, -1}
	act := ActStats{MeanAbs: []float64{1, 2, 6}, Mean: []float64{1, -2, 4}, MeanSquare: []float64{2, 5, 40}}
	// Row spectra, length 3, powers of DC and of the one pair = ‖w‖² − DC:
	// row 0: DC (1−2+3)²/3 = 4/3 of 14; row 1: (4−1)²/3 = 3 of 17.
	// Column spectra, length 2, DC and Nyquist: (1, 0): ½, ½; (−2, 4): DC 2,
	// Nyquist 18; (3, −1): DC 2, Nyquist 8.
	h := func(p float64) float64 { return -(p*math.Log(p) + (1-p)*math.Log(1-p)) }
	for _, tt := range []struct {
		kind          Importance
		output, input []float64
	}{
		{Interaction, []float64{3 * 2, 3 * 5. / 3}, []float64{1 * .5, 2 * 3, 6 * 2}},
		{InteractionSigned, []float64{1 * 2. / 3, 1 * 1}, []float64{1 * .5, -2 * 1, 4 * 1}},
		{AbsMean, []float64{2, 5. / 3}, []float64{.5, 3, 2}},
		{AbsMax, []float64{3, 4}, []float64{1, 4, 3}},
		{L2, []float64{math.Sqrt(14), math.Sqrt(17)}, []float64{1, math.Sqrt(20), math.Sqrt(10)}},
		{SpectralEntropy, []float64{-h(4. / 42), -h(3. / 17)}, []float64{-h(.5), -h(.1), -h(.2)}},
		{Hessian, []float64{2 + 20 + 360, 80 + 40}, []float64{2, 100, 400}},
	} {
		for axis, want := range map[Axis][]float64{OutputChannel: tt.output, InputChannel: tt.input} {
			got, err := Score(tt.kind, axis, w, 2, 3, act)
			if err != nil {
				t.Errorf("%s, %v: %v", tt.kind, axis, err)
				continue
			}
			if len(got) != len(want) || maxDiff(got, want) > 1e-12 {
				t.Errorf("%s, %v: %v, want %v", tt.kind, axis, got, want)
			}
		}
	}
}

func TestEntropyRanks(t *testing.T) {
	// A constant row is one component, noise is many, zeros count least.
	const n = 64
	w := make([]float32, 3*n)
	for i := range n {
		w[i] = 2
	}
	copy(w[n:], normal32(newRand(1), n))
	got, err := Score(SpectralEntropy, OutputChannel, w, 3, n, ActStats{})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(got[0]) > 1e-12 || got[1] >= -2 || got[2] != -math.Log(33) || got[2] >= got[1] {
		t.Errorf("constant, noise, zeros score %v", got)
	}
}

func TestScoreErrors(t *testing.T) {
	w := []float32{1, 2}
	for name, fn := range map[string]func() ([]float64, error){
		"kind":     func() ([]float64, error) { return Score("l1", OutputChannel, w, 1, 2, ActStats{}) },
		"shape":    func() ([]float64, error) { return Score(L2, OutputChannel, w, 2, 2, ActStats{}) },
		"no stats": func() ([]float64, error) { return Score(Interaction, OutputChannel, w, 1, 2, ActStats{}) },
		"short": func() ([]float64, error) {
			return Score(Hessian, InputChannel, w, 1, 2, ActStats{MeanSquare: []float64{1}})
		},
		"not finite": func() ([]float64, error) {
			return Score(AbsMax, InputChannel, []float32{1, float32(math.NaN())}, 1, 2, ActStats{})
		},
		"infinite": func() ([]float64, error) {
			return Score(InteractionSigned, InputChannel, w, 1, 2, ActStats{Mean: []float64{1, math.Inf(1)}})
		},
	} {
		if s, err := fn(); err == nil {
			t.Errorf("%s: %v and no error", name, s)
		}
	}
	for _, k := range Importances() {
		if got, err := ParseImportance(string(k)); err != nil || got != k {
			t.Errorf("%s parses to %s, %v", k, got, err)
		}
	}
}
