package layerbench

import (
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/meter"
	"github.com/specquant/specquant/internal/stage"
)

// productMeter measures the speed of the matrix products that the stages are made
// of: stage.SampleTokens × in by in × out in float32, and in × in by in × in in float64.
type productMeter struct {
	out, in int
	rate32  []ProductRate
	rate64  []ProductRate
}

func newProductMeter(out, in int) *productMeter { return &productMeter{out: out, in: in} }

// meterTime is how long a measurement takes for each of the two, at least.
const meterTime = 100 * time.Millisecond

func (m *productMeter) measure(p *parallel.Pool) {
	a, b, c := make([]float32, stage.SampleTokens*m.in), make([]float32, m.out*m.in), make([]float32, stage.SampleTokens*m.out)
	m.rate32 = append(m.rate32, measureRate(2*stage.SampleTokens*float64(m.out)*float64(m.in), func() {
		float.MatMulNT(p, c, m.out, a, m.in, b, m.in, stage.SampleTokens, m.out, m.in, false)
	}))
	n := min(m.in, 1024)
	x, y := make([]float64, n*n), make([]float64, n*n)
	m.rate64 = append(m.rate64, measureRate(2*float64(n)*float64(n)*float64(n), func() {
		float.MatMulNT64(p, y, n, x, n, x, n, n, n, n, float.Set)
	}))
}

// ProductRate is the speed of a product, in operations.
type ProductRate struct {
	PerSecond float64 `json:"flops_per_second"`
	PerCPU    float64 `json:"flops_per_cpu_second,omitempty"` // of one processor's time; 0: not known on this system
}

// measureRate is how many operations a second of the clock, and of a processor, fn does.
func measureRate(operations float64, fn func()) ProductRate {
	fn() // memory touched, threads awake
	rounds, start, cpu := 0, time.Now(), meter.CPUSeconds()
	for rounds == 0 || time.Since(start) < meterTime {
		fn()
		rounds++
	}
	operations *= float64(rounds)
	r := ProductRate{PerSecond: operations / time.Since(start).Seconds()}
	if c := meter.CPUSeconds() - cpu; c > 0 {
		r.PerCPU = operations / c
	}
	return r
}

// mean of measurements.
func mean(rates []ProductRate) (m ProductRate) {
	for _, r := range rates {
		m.PerSecond += r.PerSecond / float64(len(rates))
		m.PerCPU += r.PerCPU / float64(len(rates))
	}
	return m
}

// heapWatch looks for the peak of the Go heap, a few hundred times a second.
type heapWatch struct {
	base uint64
	done chan struct{}
	peak chan uint64
}

const heapEvery = 3 * time.Millisecond

// watchHeap begins to look; what the heap holds by now doesn't count.
func watchHeap() *heapWatch {
	runtime.GC()
	h := &heapWatch{base: heapBytes(), done: make(chan struct{}), peak: make(chan uint64)}
	go func() {
		tick := time.NewTicker(heapEvery)
		defer tick.Stop()
		most := heapBytes()
		for {
			select {
			case <-tick.C:
				most = max(most, heapBytes())
			case <-h.done:
				h.peak <- max(most, heapBytes())
				return
			}
		}
	}()
	return h
}

// stop says by how many bytes the heap has grown at most, garbage included.
func (h *heapWatch) stop() int64 {
	close(h.done)
	return max(0, int64(<-h.peak)-int64(h.base))
}

// heapBytes is what objects on the heap take, those included that are garbage but
// not yet collected.
func heapBytes() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}
