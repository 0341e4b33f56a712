// Package measure measures the kernels of this machine, one format of weights after the other,
// beside the limits of its cores and memory.
package measure

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/integer"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Format is how weights are stored.
type Format struct {
	Bits      int  `json:"bits"`
	Group     int  `json:"group"`     // inputs that share a scale; 0: one scale for each row
	Multiples bool `json:"multiples"` // the scales of groups are multiples of their row's
}

// Formats are those that are measured: what quantize makes of the layers of small models and of
// wide ones, of output matrices, and 8 bits.
var Formats = []Format{{5, 32, true}, {4, 16, true}, {6, 0, false}, {8, 0, false}}

// Tokens are the numbers of tokens that are multiplied: while a text is written for one reader
// and for eight, and while a prompt is read.
var Tokens = []int{1, 8, PromptTokens}

// PromptTokens is the number of tokens from which on weights are measured from the cache.
const PromptTokens = 128

// Limits are those of some threads.
type Limits struct {
	Threads int     `json:"threads"`
	Read    float64 `json:"read_bytes_per_second"`
	Int8    float64 `json:"int8_operations_per_second"`    // 0: there is no loop for the kernels in use
	FMA     float64 `json:"float32_operations_per_second"` // likewise
}

// Kernel is the speed of a product.
type Kernel struct {
	Format
	Tokens int     `json:"tokens"`
	Bytes  float64 `json:"bytes_per_second"`      // of weights and scales
	Ops    float64 `json:"operations_per_second"` // two for each weight and token
	Share  float64 `json:"share"`                 // of the read rate or, if PromptTokens or more, of the int8 peak; 0: not known
	Below  float64 `json:"below"`                 // time of the next lower tier relative to this one's; 0: there is none
}

// Result is what [Measure] found.
type Result struct {
	Tier    string   `json:"kernels"`
	Lower   string   `json:"kernels_below,omitempty"`
	Limits  []Limits `json:"limits"`
	Kernels []Kernel `json:"products"`
}

const (
	rows, cols  = 2048, 2048
	memoryBytes = 256 << 20 // of weights, so many that they do not stay in a cache
	rounds      = 5
)

// Measure measures the limits with 1, 2, 4 … threads and the products with all of them. It takes
// some seconds and about 700 MB of memory.
func Measure(ctx context.Context, threads int) (*Result, error) {
	best := cpu.Active()
	lower := below(best)
	r := &Result{Tier: best.String()}
	if lower != best {
		r.Lower = lower.String()
	}
	for n := 1; ; n = min(2*n, threads) {
		p := parallel.NewPool(n)
		l := cpu.MeasureLimits(p, rounds)
		p.Close()
		r.Limits = append(r.Limits, Limits{n, l.Read, l.Int8, l.FMA})
		if n == threads {
			break
		}
	}
	p := parallel.NewPool(threads)
	defer p.Close()
	meter := cpu.NewLimitMeter(p)
	tiles := randomBytes(memoryBytes)
	for _, f := range Formats {
		for _, tokens := range Tokens {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			k, err := product(p, meter, f, tokens, tiles, best, lower)
			if err != nil {
				return nil, err
			}
			r.Kernels = append(r.Kernels, k)
		}
	}
	return r, nil
}

// below returns the tier under t that has kernels of its own, or t if that is portable Go.
func below(t cpu.Tier) cpu.Tier {
	all := cpu.Tiers()
	if i := slices.Index(all, t); i > 1 {
		return all[i-1]
	}
	return t
}

// product measures one product, in turns with the limits and with the tier below; what counts is
// the fastest of each.
func product(p *parallel.Pool, meter *cpu.LimitMeter, f Format, tokens int, tiles []byte, best, lower cpu.Tier) (Kernel, error) {
	size := integer.TileBytes(f.Bits, rows, cols)
	n := len(tiles) / size
	if tokens >= PromptTokens {
		n = 1
	}
	ws := make([]*integer.Matrix, n)
	group := f.Group // of the scales
	var multiples []byte
	if f.Multiples {
		group, multiples = 0, randomBytes(integer.MultiplesBytes(f.Bits, rows, cols, f.Group))
	}
	scale := make([]uint16, integer.ScaleLen(rows, cols, group))
	for i := range scale {
		scale[i] = 0x2000 // 2⁻⁷
	}
	for i := range ws {
		own := tiles[i*size:][:size]
		var err error
		if f.Multiples {
			ws[i], err = integer.NewMultiplesMatrix(f.Bits, rows, cols, f.Group, own, slices.Clone(scale), slices.Clone(multiples))
		} else {
			ws[i], err = integer.NewHalfMatrix(f.Bits, rows, cols, group, own, slices.Clone(scale), nil)
		}
		if err != nil {
			return Kernel{}, err
		}
	}
	x := make([]float32, tokens*cols)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range x {
		x[i] = r.Float32()*2 - 1
	}
	var a integer.Activations
	a.Quantize(p, x, cols, tokens, cols, integer.ActGrid{Bits: 8, Clip: 1}, group)
	y := make([]float32, tokens*rows)
	pass := func() float64 {
		start := time.Now()
		for _, w := range ws {
			integer.Mul(p, y, rows, w, &a)
		}
		return time.Since(start).Seconds()
	}
	k := Kernel{Format: f, Tokens: tokens}
	took, below := math.Inf(1), math.Inf(1) // of the fastest pass
	var limit cpu.Limits
	ops := 2 * float64(rows) * float64(cols) * float64(tokens) * float64(n)
	read := float64(n) * float64(ws[0].Bytes())
	pass() // the first one fills caches
	for range rounds {
		l := meter.Measure()
		limit.Read, limit.Int8 = max(limit.Read, l.Read), max(limit.Int8, l.Int8)
		took = min(took, pass())
		if lower != best {
			cpu.SetTier(lower)
			below = min(below, pass())
			cpu.SetTier(best)
			k.Below = below / took
		}
	}
	k.Bytes, k.Ops = read/took, ops/took
	switch {
	case tokens < PromptTokens:
		k.Share = k.Bytes / limit.Read
	case limit.Int8 > 0:
		k.Share = k.Ops / limit.Int8
	}
	return k, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// Faster returns how much less time the tier below takes, as a ratio of its time to that of the
// tier in use: the geometric mean over all products; 1 if there is no tier below. Less than 1
// says that the lower one is the better choice on this machine.
func (r *Result) Faster() float64 {
	var sum float64
	for _, k := range r.Kernels {
		if k.Below == 0 {
			return 1
		}
		sum += math.Log(k.Below)
	}
	return math.Exp(sum / float64(max(1, len(r.Kernels))))
}
