// Package meter measures where the time of a job or of a layer goes, by named part: seconds
// on the clock, processor seconds and floating-point operations.
package meter

import (
	"time"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Part is the measurement of one part of the work.
type Part struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds,omitempty"` // of all threads; 0: not measured ([Clock]), or not known on this system
	// Flops is the number of floating-point operations in its matrix products, two for each
	// multiply-add; 0 if it has none. Other work is only included in the seconds.
	Flops float64 `json:"flops,omitempty"`
	// Wide: the products are in float64.
	Wide bool `json:"wide,omitempty"`
}

// Meter is told which part of the work is running. The zero value is ready to use; a nil
// Meter ignores all calls. It must not be used by several goroutines at once.
type Meter struct {
	parts   []Part
	wide    []string // parts whose products are in float64
	clock   bool     // parts have no processor seconds
	current int      // of parts, + 1; 0: none
	since   time.Time
	cpu     float64
}

// New makes a meter; wide names the parts that work in float64.
func New(wide ...string) *Meter { return &Meter{wide: wide} }

// Clock makes a meter without processor seconds, for parts of microseconds: asking for them takes
// longer than such a part, and the system updates them too rarely.
func Clock() *Meter { return &Meter{clock: true} }

// spent is the processor time so far in seconds; 0 if the meter does not look at it.
func (m *Meter) spent() float64 {
	if m.clock {
		return 0
	}
	return CPUSeconds()
}

// At ends the current part and starts or resumes the named one, which has flops more
// floating-point operations in matrix products to do.
func (m *Meter) At(name string, flops float64) {
	if m == nil {
		return
	}
	now, cpu := time.Now(), m.spent()
	m.close(now, cpu)
	for i := range m.parts {
		if m.parts[i].Name == name {
			m.current = i + 1
		}
	}
	if m.current == 0 {
		p := Part{Name: name}
		for _, w := range m.wide {
			p.Wide = p.Wide || w == name
		}
		m.parts = append(m.parts, p)
		m.current = len(m.parts)
	}
	m.parts[m.current-1].Flops += flops
	m.since, m.cpu = now, cpu
}

// Now is the name of the current part; "": none.
func (m *Meter) Now() string {
	if m == nil || m.current == 0 {
		return ""
	}
	return m.parts[m.current-1].Name
}

// Stop ends the current part.
func (m *Meter) Stop() {
	if m != nil {
		m.close(time.Now(), m.spent())
	}
}

func (m *Meter) close(now time.Time, cpu float64) {
	if m.current == 0 {
		return
	}
	m.parts[m.current-1].Seconds += now.Sub(m.since).Seconds()
	m.parts[m.current-1].CPU += cpu - m.cpu
	m.current = 0
}

// Parts returns the parts in the order in which they were first started.
func (m *Meter) Parts() []Part {
	if m == nil {
		return nil
	}
	return append([]Part(nil), m.parts...)
}

// Rate measures the largest number of float32 operations per second that one processor can
// do on registers (two for each multiply-add), the best of `rounds` measurements. 0:
// unknown for this CPU or system. It is based on processor time, so that other programs
// have little effect on it.
func Rate(p *parallel.Pool, rounds int) (best float64) {
	for range rounds {
		spentBefore, start := CPUSeconds(), time.Now()
		rate, ok := cpu.PeakFMA(p)
		if !ok {
			return 0
		}
		done := rate * time.Since(start).Seconds()
		if spent := CPUSeconds() - spentBefore; spent > 0 {
			best = max(best, done/spent)
		}
	}
	return best
}

// Share is the fraction of the rate returned by [Rate] that the products of the part reach,
// by processor time; operations in float64 count twice. 0: unknown.
func (p Part) Share(rate float64) float64 {
	if rate <= 0 || p.CPU <= 0 {
		return 0
	}
	flops := p.Flops
	if p.Wide {
		flops *= 2
	}
	return flops / p.CPU / rate
}
