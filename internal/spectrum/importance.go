package spectrum

import (
	"fmt"
	"math"
)

// Importance is a score by which components are distributed over channels.
//
// w_c are the n weights of channel c. On the input axis x̂ is the channel's own input. On
// the output axis, for which the paper gives no definition, it is the mean over the layer's
// inputs.
type Importance string

const (
	// Interaction is mean|x̂| · mean|w_c| (eq. 11).
	Interaction Importance = "interaction"
	// InteractionSigned is mean(x̂) · mean(w_c), eq. 11 as printed.
	InteractionSigned Importance = "interaction-signed"
	// AbsMean is mean|w_c| (table 5).
	AbsMean Importance = "abs-mean"
	// AbsMax is max|w_c| (table 5).
	AbsMax Importance = "abs-max"
	// L2 is √Σ w_c² (table 5).
	L2 Importance = "l2"
	// SpectralEntropy is −H, H = −Σ_f p_f ln p_f in nats over the normalised power p_f of
	// the channel's Fourier components (table 5; the paper gives no formula). Lower entropy
	// is more important. An all-zero channel scores lowest.
	SpectralEntropy Importance = "spectral-entropy"
	// Hessian is the channel's contribution to the output energy if inputs are
	// uncorrelated: Σ_i w_ji²·E[x̂_i²] for row j, E[x̂_i²]·Σ_j w_ji² for column i. It is
	// not from the paper.
	Hessian Importance = "hessian"
)

// Importances lists the scores.
func Importances() []Importance {
	return []Importance{Interaction, InteractionSigned, AbsMean, AbsMax, L2, SpectralEntropy, Hessian}
}

// ParseImportance checks the name of a score.
func ParseImportance(s string) (Importance, error) {
	for _, k := range Importances() {
		if string(k) == s {
			return k, nil
		}
	}
	return "", fmt.Errorf("spectrum: unknown importance %q: want one of %q", s, Importances())
}

// ActStats are statistics of a layer's smoothed inputs x̂ over the calibration tokens, per
// input channel [cols]. Only those that the score uses are needed.
type ActStats struct {
	MeanAbs    []float64 // E|x̂_i|: interaction
	Mean       []float64 // E x̂_i: interaction-signed
	MeanSquare []float64 // E x̂_i²: hessian
}

// Score returns the importance of every channel of w [rows, cols]; larger is more
// important. Errors: an unknown kind, a wrong shape, missing or miscounted statistics, and
// a score that is not finite.
func Score(kind Importance, axis Axis, w []float32, rows, cols int, act ActStats) ([]float64, error) {
	if _, err := ParseImportance(string(kind)); err != nil {
		return nil, err
	}
	if err := checkMatrix("score "+string(kind), w, rows, cols, axis); err != nil {
		return nil, err
	}
	var stats []float64
	var name string
	switch kind {
	case Interaction:
		stats, name = act.MeanAbs, "mean absolute"
	case InteractionSigned:
		stats, name = act.Mean, "mean"
	case Hessian:
		stats, name = act.MeanSquare, "mean square"
	}
	if name != "" && len(stats) != cols {
		return nil, fmt.Errorf("spectrum: score %s: %d %s activations for %d input channels: calibrate first", kind, len(stats), name, cols)
	}
	score := weightScore(kind, axis, w, rows, cols, stats)
	if kind == Interaction || kind == InteractionSigned {
		layer := mean(stats)
		for c := range score {
			if axis == InputChannel {
				score[c] *= stats[c]
			} else {
				score[c] *= layer
			}
		}
	}
	for c, s := range score {
		if !finite(s) {
			return nil, fmt.Errorf("spectrum: score %s: %v channel %d scores %v: check weights and activations for NaN and Inf", kind, axis, c, s)
		}
	}
	return score, nil
}

// weightScore is the part of the score that depends on the weights, in one pass over them
// in memory order on both axes.
func weightScore(kind Importance, axis Axis, w []float32, rows, cols int, square []float64) []float64 {
	if kind == SpectralEntropy {
		return entropyScore(axis, w, rows, cols)
	}
	channels, n := axis.Shape(rows, cols)
	score := make([]float64, channels)
	for j := range rows {
		for i, w32 := range w[j*cols : (j+1)*cols] {
			c, v := j, float64(w32)
			if axis == InputChannel {
				c = i
			}
			switch kind {
			case Interaction, AbsMean:
				score[c] += math.Abs(v)
			case InteractionSigned:
				score[c] += v
			case AbsMax:
				score[c] = max(score[c], math.Abs(v)) // max keeps NaN
			case L2:
				score[c] += v * v
			case Hessian:
				score[c] += v * v * square[i]
			}
		}
	}
	for c := range score {
		switch kind {
		case Interaction, InteractionSigned, AbsMean:
			score[c] /= float64(n)
		case L2:
			score[c] = math.Sqrt(score[c])
		}
	}
	return score
}

func entropyScore(axis Axis, w []float32, rows, cols int) []float64 {
	channels, n := axis.Shape(rows, cols)
	score := make([]float64, channels)
	b, buf := newDFT(n), newBlockBuf(n, channels)
	power := make([]float64, b.Components())
	for i := range blocks(channels) {
		lo, hi := span(i, channels)
		buf.load(w, cols, axis, lo, hi, nil)
		for c := lo; c < hi; c++ {
			clear(power)
			addPower(power, b, buf.channel(c-lo))
			score[c] = -entropy(power)
		}
	}
	return score
}

func mean(v []float64) float64 {
	var s float64
	for _, x := range v {
		s += x
	}
	return s / float64(len(v))
}
