package kv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/kerneltest"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// kvModel is a cache with what is in it, in float64.
type kvModel struct {
	Cache
	keys, values [][]float64 // [head·positions+position][head_dim]
	positions    int
}

func newKVModel(r *rand.Rand, bits, heads, headDim, positions int) *kvModel {
	m := &kvModel{Cache: Cache{Bits: bits, Heads: heads, HeadDim: headDim}, positions: positions}
	m.keys, m.values = make([][]float64, heads*positions), make([][]float64, heads*positions)
	for p := range positions {
		m.Reserve(p+1, p, positions+3)
		for h := range heads {
			at := h*positions + p
			if bits == 16 {
				k, v := kerneltest.RandFloats(r, headDim), kerneltest.RandFloats(r, headDim)
				m.Put(h, p, k, v)
				m.keys[at], m.values[at] = widen(k), widen(v)
				continue
			}
			pack := func() (packed []byte, scale, minimum uint16, x []float64) {
				packed, x = make([]byte, headDim*bits/8), make([]float64, headDim)
				for i := range packed {
					packed[i] = byte(r.Uint32())
				}
				levels := math.Exp2(float64(bits)) - 1
				scale, minimum = float.ToF16(float32((1+r.Float64())/levels)), float.ToF16(float32(-1-r.Float64()))
				for i := range x {
					q := packed[i*bits/8]
					if bits == 4 {
						q = q >> (i % 2 * 4) & 15
					}
					x[i] = kerneltest.F16Value(minimum) + kerneltest.F16Value(scale)*float64(q)
				}
				return packed, scale, minimum, x
			}
			kp, ks, km, k := pack()
			vp, vs, vm, v := pack()
			m.PutPacked(h, p, kp, vp, ks, km, vs, vm)
			m.keys[at], m.values[at] = k, v
		}
	}
	return m
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// attend is the definition, but for the rounding of the weights of quantized values.
func (m *kvModel) attend(q []float32, head, position, window int, scale float64) []float64 {
	if m.Bits != 16 {
		_, _, top := float.MinMaxAbs(q)
		step := math.Float32frombits(top) / kvIntTop
		q = append([]float32(nil), q...)
		for i, v := range q {
			q[i] = step * float32(math.RoundToEven(float64(v/step)))
		}
	}
	from := 0
	if window > 0 {
		from = max(0, position+1-window)
	}
	p := make([]float64, position+1)
	top := math.Inf(-1)
	for j := from; j <= position; j++ {
		for i, k := range m.keys[head*m.positions+j] {
			p[j] += float64(q[i]) * k
		}
		p[j] *= scale
		top = max(top, p[j])
	}
	var sum float64
	for j := from; j <= position; j++ {
		p[j] = math.Exp(p[j] - top)
		sum += p[j]
	}
	out := make([]float64, m.HeadDim)
	for j := from; j <= position; j++ {
		for i, v := range m.values[head*m.positions+j] {
			out[i] += p[j] / sum * v
		}
	}
	return out
}

func TestAttend(t *testing.T) {
	for _, bits := range []int{4, 8, 16} {
		for _, shape := range []struct{ headDim, heads, group, positions int }{
			{8, 2, 1, 70}, {16, 1, 2, 290}, {2, 1, 3, 5}, {32, 2, 4, 129}, {64, 1, 8, 170}, {80, 1, 3, 67}, {96, 2, 1, 33},
			{128, 1, 5, 100}, {64, 2, 16, 30}, {100, 1, 7, 20}, {256, 1, 1, 18}, {64, 1, 1, 1},
		} {
			if testing.Short() && shape.positions > 70 {
				continue
			}
			t.Run(fmt.Sprint(bits, shape), func(t *testing.T) {
				r := rand.New(rand.NewPCG(41, uint64(bits*shape.headDim)))
				m := newKVModel(r, bits, shape.heads, shape.headDim, shape.positions)
				width := shape.heads * shape.group * shape.headDim
				q := kerneltest.RandFloats(r, shape.positions*width)
				scale := float32(1 / math.Sqrt(float64(shape.headDim)))
				tolerance := 1e-5
				if bits != 16 {
					tolerance = 1e-4
				}
				var simd []float32 // a cache of integers has no tier with other bits
				kerneltest.AllTiers(t, func(t *testing.T) {
					var s Scratch
					for _, window := range []int{0, 1, 13} {
						out := make([]float32, len(q))
						for h := range shape.heads {
							o := h * shape.group * shape.headDim
							m.Attend(&s, out[o:], q[o:], width, h, shape.group, 0, shape.positions, window, scale)
						}
						for row := range shape.positions * shape.heads * shape.group {
							position, head := row/(shape.heads*shape.group), row%(shape.heads*shape.group)
							o := row * shape.headDim
							want := m.attend(q[o:][:shape.headDim], head/shape.group, position, window, float64(scale))
							for i, w := range want {
								if d := math.Abs(float64(out[o+i]) - w); !(d <= tolerance) {
									t.Fatalf("window %d, position %d, head %d, dimension %d: got %v, want %v", window, position, head, i, out[o+i], w)
								}
							}
						}
						// In other pieces: the same bits.
						for _, piece := range []int{1, 3, 31} {
							again := make([]float32, len(q))
							for h := range shape.heads {
								for p := 0; p < shape.positions; p += piece {
									o := p*width + h*shape.group*shape.headDim
									m.Attend(&s, again[o:], q[o:], width, h, shape.group, p, min(piece, shape.positions-p), window, scale)
								}
							}
							kerneltest.SameBits(t, fmt.Sprintf("window %d in pieces of %d", window, piece), again, out)
						}
						if window == 0 && (cpu.Active() > cpu.Portable || bits != 16) {
							if simd == nil {
								simd = out
							}
							kerneltest.SameBits(t, "against a lower tier", out, simd)
						}
					}
				})
			})
		}
	}
}

// A cache that was cut back and filled again must not show what it held.
func TestAttendAfterTruncation(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	for _, bits := range []int{4, 8, 16} {
		long := newKVModel(r, bits, 1, 64, 90)
		short := Cache{Bits: bits, Heads: 1, HeadDim: 64}
		short.Reserve(20, 0, 20)
		for p := range 20 {
			if bits == 16 {
				k, v := make([]float32, 64), make([]float32, 64)
				for i := range k {
					k[i], v[i] = float32(long.keys[p][i]), float32(long.values[p][i])
				}
				short.Put(0, p, k, v)
				continue
			}
			k, v := make([]byte, 8*bits), make([]byte, 8*bits)
			for i := range k {
				k[i] = long.Cache.keys[long.keyAt(0, p, i)]
				v[i] = long.Cache.values[long.valueAt(0, p, i)]
			}
			short.PutPacked(0, p, k, v, long.ks[p], long.km[p], long.vs[p], long.vm[p])
		}
		q := kerneltest.RandFloats(r, 64)
		kerneltest.AllTiers(t, func(t *testing.T) {
			var s Scratch
			a, b := make([]float32, 64), make([]float32, 64)
			long.Attend(&s, a, q, 64, 0, 1, 19, 1, 0, 0.125)
			short.Attend(&s, b, q, 64, 0, 1, 19, 1, 0, 0.125)
			kerneltest.SameBits(t, fmt.Sprint(bits, " bits"), a, b)
		})
	}
}

// BenchmarkAttend decodes at 8192 positions, and prefills 512.
func BenchmarkAttend(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, shape := range []struct{ headDim, heads, group, positions, queries int }{
		{64, 4, 8, 8192, 1}, {128, 8, 4, 8192, 1}, {128, 8, 1, 8192, 1}, {64, 4, 8, 512, 512}, {128, 8, 4, 512, 512},
	} {
		for _, bits := range []int{4, 8, 16} {
			m := newKVModel(r, bits, shape.heads, shape.headDim, shape.positions)
			width := shape.heads * shape.group * shape.headDim
			q := kerneltest.RandFloats(r, shape.queries*width)
			out := make([]float32, len(q))
			scale := float32(0.1)
			each := Queries(shape.group, shape.positions)
			jobs := (shape.queries + each - 1) / each
			for _, tier := range cpu.Tiers() {
				for threads := 1; threads <= 2; threads++ {
					if tier == cpu.Portable && shape.queries > 1 || tier < cpu.AVX512VNNI && threads > 1 {
						continue
					}
					b.Run(fmt.Sprintf("%dbits/%dx%dx%d/%d@%d/%v-%d", bits, shape.heads, shape.group, shape.headDim, shape.queries, shape.positions, tier, threads), func(b *testing.B) {
						defer cpu.SetTier(cpu.SetTier(tier))
						pool := parallel.NewPool(threads)
						defer pool.Close()
						free := make(chan *Scratch, threads)
						for range threads {
							free <- &Scratch{}
						}
						for b.Loop() {
							pool.Run(jobs*shape.heads, func(i int) {
								h, t := i/jobs, i%jobs*each
								n := min(each, shape.queries-t)
								s := <-free
								o := t*width + h*shape.group*shape.headDim
								m.Attend(s, out[o:], q[o:], width, h, shape.group, shape.positions-shape.queries+t, n, 0, scale)
								free <- s
							})
						}
						bytes := float64(m.PositionBytes()) * float64(shape.positions)
						pairs := float64(shape.queries)*float64(shape.positions) - float64(shape.queries)*float64(shape.queries-1)/2
						flops := 4 * pairs * float64(shape.heads*shape.group*shape.headDim)
						b.ReportMetric(bytes*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
						b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
					})
				}
			}
		}
	}
}

// With warm scratch, attention and the element-wise operations don't allocate.
func TestAttendAllocation(t *testing.T) {
	r := rand.New(rand.NewPCG(47, 48))
	x, y := kerneltest.RandFloats(r, 100), kerneltest.RandFloats(r, 100)
	for _, bits := range []int{4, 8, 16} {
		m := newKVModel(r, bits, 1, 64, 70)
		q, out := kerneltest.RandFloats(r, 8*64), make([]float32, 8*64)
		kerneltest.AllTiers(t, func(t *testing.T) {
			var s Scratch
			if n := testing.AllocsPerRun(20, func() {
				m.Attend(&s, out, q, 8*64, 0, 8, 69, 1, 0, 0.125)
				float.Softmax(x, 1)
				float.SwiGLU(x, y)
				float.RMSNorm(x, x, y, 1e-5)
			}); n > 0 {
				t.Errorf("%d bits: %v allocations", bits, n)
			}
		})
	}
}

func TestKVShift(t *testing.T) {
	r := rand.New(rand.NewPCG(61, 62))
	for n := range 70 {
		x := kerneltest.RandFloats(r, n+5)
		kerneltest.AllTiers(t, func(t *testing.T) {
			got := make([]float32, n)
			done := kvShiftBlocks(got, x, 0.7)
			if done > n || done%16 != 0 {
				t.Fatalf("%d of %d numbers", done, n)
			}
			for i, v := range got[:done] {
				if v != x[i]+0.7 {
					t.Fatalf("%d of %d is %v", i, n, v)
				}
			}
		})
	}
}
