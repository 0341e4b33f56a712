package eval

import (
	"encoding/json"
	"math"

	"github.com/specquant/specquant/internal/jsonfloat"
	"github.com/specquant/specquant/internal/kernel/float"
)

// Estimate is a mean and its standard error, which assumes that the values are independent.
type Estimate struct {
	Mean   float64 `json:"mean"`
	StdErr float64 `json:"std_err"`
}

// estimateJSON is an estimate in JSON: an unknown error is null, an infinite mean
// "Infinity".
type estimateJSON struct {
	Mean   jsonfloat.Float `json:"mean"`
	StdErr jsonfloat.Float `json:"std_err"`
}

// MarshalJSON implements json.Marshaler.
func (e Estimate) MarshalJSON() ([]byte, error) {
	return json.Marshal(estimateJSON{jsonfloat.Float(e.Mean), jsonfloat.Float(e.StdErr)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *Estimate) UnmarshalJSON(data []byte) error {
	var v estimateJSON
	err := json.Unmarshal(data, &v)
	*e = Estimate{float64(v.Mean), float64(v.StdErr)}
	return err
}

// Mean returns the mean of v, with the standard error s/√n from the sample's standard
// deviation s (divisor n−1). For a single value, or an infinite mean, the error is unknown:
// NaN.
func Mean(v []float64) Estimate {
	n := float64(len(v))
	var sum, square float64
	for _, x := range v {
		sum += x
	}
	m := sum / n
	for _, x := range v {
		square += (x - m) * (x - m)
	}
	e := Estimate{Mean: m, StdErr: math.NaN()}
	if n > 1 {
		e.StdErr = math.Sqrt(square / (n - 1) / n)
	}
	return e
}

// Average is the unweighted mean of independent estimates.
func Average(v []Estimate) Estimate {
	var e Estimate
	for _, x := range v {
		e.Mean += x.Mean / float64(len(v))
		e.StdErr += x.StdErr * x.StdErr
	}
	e.StdErr = math.Sqrt(e.StdErr) / float64(len(v))
	return e
}

// Perplexed is exp of the mean of negative log-likelihoods, with the standard error by the
// delta method.
func Perplexed(nll []float64) Estimate {
	e := Mean(nll)
	p := math.Exp(e.Mean)
	return Estimate{Mean: p, StdErr: p * e.StdErr}
}

// ratio is Σx/Σw with the standard error of a ratio estimate over independent pairs.
func ratio(x, w []float64) Estimate {
	var sx, sw, square float64
	for i := range x {
		sx += x[i]
		sw += w[i]
	}
	r, n := sx/sw, float64(len(x))
	for i := range x {
		d := x[i] - r*w[i]
		square += d * d
	}
	e := Estimate{Mean: r, StdErr: math.NaN()}
	if n > 1 {
		e.StdErr = math.Sqrt(square*n/(n-1)) / sw
	}
	return e
}

// quantile returns the value below which the fraction q of the ascending v lies.
func quantile(v []float64, q float64) float64 {
	return v[min(int(q*float64(len(v))), len(v)-1)]
}

// NLL is −log p(id) of the logits, in nats, with an error of about 1e-7: exponentials are
// computed in float32 and summed in float64.
func NLL(logits []float32, id int) float64 {
	top := logits[argmax(logits)]
	var buf [512]float32
	var sum float64
	for rest := logits; len(rest) > 0; {
		part := buf[:min(len(buf), len(rest))]
		for i, v := range rest[:len(part)] {
			part[i] = v - top
		}
		rest = rest[len(part):]
		float.Exp(part)
		for _, v := range part {
			sum += float64(v)
		}
	}
	return float64(top) + math.Log(sum) - float64(logits[id])
}

// argmax is the most likely token; the first one if several are equal.
func argmax(logits []float32) int {
	top, best := 0, logits[0]
	for i, v := range logits {
		if v > best {
			top, best = i, v
		}
	}
	return top
}
