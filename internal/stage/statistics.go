package stage

import (
	"fmt"
	"math"
	"slices"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/recipe"
	"github.com/specquant/specquant/internal/spectrum"
)

// Stats gathers statistics of one input over the calibration tokens: moments of each
// channel, and a sample of whole tokens.
type Stats struct {
	Width                  int
	Tokens                 int
	AbsMax                 []float32 // max |x| of each channel
	sumAbs, sum, sumSquare []float64

	Sample []float32 // [SampleTokens × width], evenly spaced over all tokens
	every  int
	limit  int
	kept   int // tokens of the sample that there is memory for
}

// NewStats makes empty statistics for an input of this width, over `tokens` expected tokens
// of which at most `sample` are kept.
func NewStats(width, tokens, sample int) *Stats {
	every := max(1, (tokens+sample-1)/max(sample, 1))
	kept := min(sample, (tokens+every-1)/every)
	return &Stats{Width: width, every: every, limit: kept, kept: kept,
		AbsMax: make([]float32, width), sumAbs: make([]float64, width),
		sum: make([]float64, width), sumSquare: make([]float64, width),
		Sample: make([]float32, 0, kept*width)}
}

// MaximaOnly leaves out the sums that [Stats.Act] needs, which take most of the time.
func (s *Stats) MaximaOnly() { s.sumAbs, s.sum, s.sumSquare = nil, nil, nil }

// wantsMeans reports whether any stage of a recipe asks for [Stats.Act].
func wantsMeans(r *recipe.Recipe) bool {
	return r.Smooth != nil && r.Smooth.Method == recipe.SmoothAWQ || r.Branch != nil
}

// Expect clears the statistics for another number of expected tokens, and keeps the memory.
func (s *Stats) Expect(tokens int) {
	s.Reset()
	s.every = max(1, (tokens+s.kept-1)/max(s.kept, 1))
	s.limit = min(s.kept, (tokens+s.every-1)/s.every)
}

// Reset clears the statistics and keeps the memory.
func (s *Stats) Reset() {
	s.Tokens, s.Sample = 0, s.Sample[:0]
	clear(s.AbsMax)
	clear(s.sumAbs)
	clear(s.sum)
	clear(s.sumSquare)
}

// SampleTokens is the number of whole tokens kept.
func (s *Stats) SampleTokens() int { return len(s.Sample) / s.Width }

// addChannels is how many channels a thread takes in at a time: whole cache lines.
const addChannels = 128

// Add adds x [tokens × width]. A value that is not finite is an error that names the token,
// counted from the first one added, and the channel.
func (s *Stats) Add(p *parallel.Pool, x []float32, tokens int) error {
	bad := make([]*NonFiniteError, (s.Width+addChannels-1)/addChannels)
	p.Run(len(bad), func(c int) {
		from := c * addChannels
		bad[c] = s.add(x, tokens, from, min(from+addChannels, s.Width))
	})
	var first *NonFiniteError
	for _, e := range bad {
		if e != nil && (first == nil || e.Token < first.Token) {
			first = e
		}
	}
	if first != nil {
		return first
	}
	for t := range tokens {
		if (s.Tokens+t)%s.every == 0 && s.SampleTokens() < s.limit {
			s.Sample = append(s.Sample, x[t*s.Width:][:s.Width]...)
		}
	}
	s.Tokens += tokens
	return nil
}

// add takes in channels from … to-1, and returns the first value that is not finite.
func (s *Stats) add(x []float32, tokens, from, to int) *NonFiniteError {
	if s.sum == nil {
		return s.addMaxima(x, tokens, from, to)
	}
	top, sum, sumAbs, sumSquare := s.AbsMax[from:to], s.sum[from:to], s.sumAbs[from:to], s.sumSquare[from:to]
	for t := range tokens {
		row := x[t*s.Width:][from:to]
		for i, v := range row {
			a := math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
			if !(a <= math.MaxFloat32) {
				return &NonFiniteError{Token: s.Tokens + t, Channel: from + i, Value: v}
			}
			top[i] = max(top[i], a)
			w := float64(v)
			sum[i] += w
			sumAbs[i] += float64(a)
			sumSquare[i] += w * w
		}
	}
	return nil
}

// addMaxima is add without the sums.
func (s *Stats) addMaxima(x []float32, tokens, from, to int) *NonFiniteError {
	top := s.AbsMax[from:to]
	for t := range tokens {
		float.MaxMagnitude(top, x[t*s.Width:][from:to])
	}
	if !slices.ContainsFunc(top, func(v float32) bool { return !isFinite(v) }) {
		return nil
	}
	for t := range tokens {
		for i, v := range x[t*s.Width:][from:to] {
			if !isFinite(v) {
				return &NonFiniteError{Token: s.Tokens + t, Channel: from + i, Value: v}
			}
		}
	}
	return nil
}

// CheckFinite returns a [NonFiniteError] for the first NaN or infinity in x [tokens ×
// width], or nil.
func CheckFinite(x []float32, width int) error {
	if float.Finite(x) {
		return nil
	}
	for i, v := range x {
		if !isFinite(v) {
			return &NonFiniteError{Token: i / width, Channel: i % width, Value: v}
		}
	}
	return nil
}

// isFinite reports whether v is neither a NaN nor infinite.
func isFinite(v float32) bool { return math.Float32bits(v)&0x7f800000 != 0x7f800000 }

// NonFiniteError is a NaN or infinity in the calibration activations.
type NonFiniteError struct {
	Token, Channel int
	Value          float32
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("activation %v at calibration token %d, channel %d", e.Value, e.Token, e.Channel)
}

// Act returns the moments of the input divided by λ; nil means λ = 1.
func (s *Stats) Act(lambda []float32) spectrum.ActStats {
	a := spectrum.ActStats{Mean: make([]float64, s.Width), MeanAbs: make([]float64, s.Width), MeanSquare: make([]float64, s.Width)}
	n := float64(max(s.Tokens, 1))
	for i := range s.Width {
		l := 1.0
		if lambda != nil {
			l = float64(lambda[i])
		}
		a.Mean[i] = s.sum[i] / n / l
		a.MeanAbs[i] = s.sumAbs[i] / n / l
		a.MeanSquare[i] = s.sumSquare[i] / n / (l * l)
	}
	return a
}

// importance returns the diagonal of an input's second moments h [n × n]. Channels that are
// zero for all calibration tokens get the mean of the others, so that their weights are not
// clipped away.
func importance(h []float64, n int) []float64 {
	d := make([]float64, n)
	var sum float64
	live := 0
	for i := range d {
		if d[i] = h[i*n+i]; d[i] > 0 {
			sum += d[i]
			live++
		}
	}
	for i, v := range d {
		if v <= 0 {
			d[i] = sum / float64(max(live, 1))
		}
	}
	return d
}
