package layerbench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/linalg"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/stage"
)

// SyntheticOptions describe a linear layer that belongs to no model, and the tokens that it
// reads. All fields except Out and In may be zero.
type SyntheticOptions struct {
	Out, In int
	Tokens  int // calibration tokens, truncated to whole windows of 512; 0: 8192
	HeldOut int // tokens on which the error is measured; 0: 1024
	Seed    uint64
	Speed   bool // also measure the speed of matrix products, before and after each recipe
}

// Parameters of the distribution of inputs of wide layers, see [NewSynthetic].
const (
	syntheticWindow  = 512    // tokens in a calibration window
	syntheticDecay   = 1.0    // eigenvalue i of the covariance is proportional to i^-decay
	outlierLeast     = 20.0   // the standard deviation of an outlier channel is this many times the others', at least
	outlierMost      = 100.0  // and at most
	massiveEvery     = 512    // one token in this many is massive
	massiveFirst     = 1000.0 // its value in one channel, in standard deviations of an ordinary channel
	massiveSecond    = -600.0 // and in a second one
	heavyLeast       = 3.0    // the weights in a heavy column are this many times the others', at least
	heavyMost        = 8.0    // and at most
	syntheticMaxSide = 1 << 16
	syntheticMaxData = 1 << 30 // largest number of weights, and of numbers in the tokens
)

// Synthetic is a linear layer without a model: weights, and a distribution of inputs with
// those properties of large models' activations that matter to quantization.
type Synthetic struct {
	SyntheticOptions

	Outliers []int // channels with a larger standard deviation
	Heavy    []int // columns with larger weights
	Massive  [2]int

	weights []float32 // [out × in]
	calib   []float32 // [tokens × in]
	heldOut []float32 // [held-out × in]
	exact   []float32 // outputs of the layer for heldOut [held-out × out]
	window  int
}

// NewSynthetic makes the layer. A token is x = S·B·z, where z is Gaussian and the variance
// of its i-th component is ∝ 1/i; B is a random orthogonal matrix (two Hadamard transforms
// with random signs), after which all channels have a standard deviation of about 1; S
// multiplies 4 + in/1024 channels by 20 to 100, log-uniformly. One random token in 512 is
// massive: two of its channels are 1000 and −600, within a tenth, like the first tokens of
// large models. Weights are Gaussian, with 4 + in/1024 other columns 3 to 8 times larger.
// Held-out tokens have the same distribution.
func NewSynthetic(p *parallel.Pool, o SyntheticOptions) (*Synthetic, error) {
	if o.Tokens == 0 {
		o.Tokens = 8192
	}
	if o.HeldOut == 0 {
		o.HeldOut = 1024
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Synthetic{window: min(o.Tokens, syntheticWindow)}
	o.Tokens = o.Tokens / s.window * s.window
	s.SyntheticOptions = o
	first, err := linalg.NewRotation(o.In, o.Seed*4+1)
	if err != nil {
		return nil, err
	}
	second, err := linalg.NewRotation(o.In, o.Seed*4+2)
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(o.Seed, streamLayout))
	n := o.In
	few := 4 + n/1024
	order := r.Perm(n)
	s.Outliers, s.Heavy = order[:few], order[few:2*few]
	s.Massive = [2]int{order[2*few], order[2*few+1]}
	scale := make([]float32, n)
	for i := range scale {
		scale[i] = 1
	}
	for _, c := range s.Outliers {
		scale[c] = float32(outlierLeast * math.Pow(outlierMost/outlierLeast, r.Float64()))
	}
	heavy := make([]float32, n)
	for i := range heavy {
		heavy[i] = float32(1 / math.Sqrt(float64(n)))
	}
	for _, c := range s.Heavy {
		heavy[c] *= float32(heavyLeast + (heavyMost-heavyLeast)*r.Float64())
	}
	s.weights = make([]float32, o.Out*n)
	p.Run(o.Out, func(j int) {
		row := rand.New(rand.NewPCG(o.Seed, streamWeights+uint64(j)))
		for i := range n {
			s.weights[j*n+i] = float32(row.NormFloat64()) * heavy[i]
		}
	})
	turn := linalg.Chain{first, second}
	s.calib = s.draw(p, o.Tokens, streamCalibration, scale, turn)
	s.heldOut = s.draw(p, o.HeldOut, streamHeldOut, scale, turn)
	s.exact = make([]float32, o.HeldOut*o.Out)
	float.MatMulNT(p, s.exact, o.Out, s.heldOut, n, s.weights, n, o.HeldOut, o.Out, n, false)
	return s, nil
}

// check returns an error for sizes outside the limits.
func (o *SyntheticOptions) check() error {
	for _, v := range []struct {
		name               string
		value, least, most int
	}{
		{"outputs", o.Out, 16, syntheticMaxSide}, {"inputs", o.In, 32, syntheticMaxSide},
		{"outputs × inputs", o.Out * o.In, 0, syntheticMaxData},
		{"calibration tokens", o.Tokens, 16, syntheticMaxData / max(o.In, 1)},
		{"held-out tokens", o.HeldOut, 16, syntheticMaxData / max(o.In, o.Out, 1)},
	} {
		if v.value < v.least || v.value > v.most {
			return fmt.Errorf("synthetic layer %d × %d: found %d %s, expected %d to %d", o.Out, o.In, v.value, v.name, v.least, v.most)
		}
	}
	return nil
}

// Streams of the random generator, far enough apart for one generator per token or row.
const (
	streamLayout      = 0
	streamWeights     = 1 << 40
	streamCalibration = 2 << 40
	streamHeldOut     = 3 << 40
)

// draw makes tokens [tokens × in], each from its own generator.
func (s *Synthetic) draw(p *parallel.Pool, tokens int, stream uint64, scale []float32, basis linalg.Transform) []float32 {
	n := s.In
	var sum float64
	deviation := make([]float64, n)
	for i := range deviation {
		deviation[i] = math.Pow(float64(i+1), -syntheticDecay/2)
		sum += deviation[i] * deviation[i]
	}
	for i := range deviation {
		deviation[i] *= math.Sqrt(float64(n) / sum)
	}
	x := make([]float32, tokens*n)
	p.Run(tokens, func(t int) {
		r := rand.New(rand.NewPCG(s.Seed, stream+uint64(t)))
		for i, d := range deviation {
			x[t*n+i] = float32(d * r.NormFloat64())
		}
	})
	basis.Apply(p, x, tokens)
	for t := range tokens {
		row := x[t*n:][:n]
		for i, v := range scale {
			row[i] *= v
		}
	}
	r := rand.New(rand.NewPCG(s.Seed, stream-1))
	for from := 0; from < tokens; from += massiveEvery {
		row := x[(from+r.IntN(min(massiveEvery, tokens-from)))*n:][:n]
		row[s.Massive[0]] = float32(massiveFirst * (0.9 + 0.2*r.Float64()))
		row[s.Massive[1]] = float32(massiveSecond * (0.9 + 0.2*r.Float64()))
	}
	return x
}

// feed passes the calibration tokens to a state's tap as the loaded layer now reads them:
// what smoothing and rotation have folded out of the layer is in up, which is a diagonal
// matrix here, and the run-time transform follows.
func (s *Synthetic) feed(st *stage.State) func(ctx context.Context, tap stage.Tap) error {
	x := make([]float32, s.window*s.In)
	return func(ctx context.Context, tap stage.Tap) error {
		for first := 0; first < s.Tokens; first += s.window {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.given(st, x, s.calib[first*s.In:][:len(x)])
			tap(llama.DownInput, x, s.window, s.In)
		}
		return nil
	}
}

// given writes to dst the input of the loaded layer for the tokens x.
func (s *Synthetic) given(st *stage.State, dst, x []float32) {
	diagonal, n := st.Block.Linears[llama.Up].W, s.In
	st.Pool.Run(len(x)/n, func(t int) {
		for i, v := range x[t*n:][:n] {
			dst[t*n+i] = v * diagonal[i]
		}
	})
	if t := st.RuntimeTransform(llama.DownInput); t != nil {
		t.Apply(st.Pool, dst, len(x)/n)
	}
}
