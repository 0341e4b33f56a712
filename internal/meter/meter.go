// Package meter adds up where the time of a job or of a layer goes: seconds of the
// clock, seconds of the processors and floating-point operations, by named part.
package meter

import (
	"time"

	"github.com/specquant/specquant/internal/kernel"
)

// Part is what one part of the work took.
type Part struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds,omitempty"` // of all threads; 0: not known on this system
	// Flops is the floating-point work of its matrix products, two for a
	// multiply-add; 0 where it has none. All else it does is in its seconds.
	Flops float64 `json:"flops,omitempty"`
	// Wide says that the products are in float64.
	Wide bool `json:"wide,omitempty"`
}

// Meter is told which part is under way. The zero value is ready; a nil one ignores
// all calls. It is not safe for use by several goroutines.
type Meter struct {
	parts   []Part
	wide    []string // parts whose products are in float64
	current int      // of parts, + 1; 0: none
	since   time.Time
	cpu     float64
}

// New makes a meter that knows which parts work in float64.
func New(wide ...string) *Meter { return &Meter{wide: wide} }

// At ends the part under way and begins, or takes up, the named one, whose matrix
// products have so many floating-point operations more to do.
func (m *Meter) At(name string, flops float64) {
	if m == nil {
		return
	}
	now, cpu := time.Now(), CPUSeconds()
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

// Now is the name of the part under way; "": none.
func (m *Meter) Now() string {
	if m == nil || m.current == 0 {
		return ""
	}
	return m.parts[m.current-1].Name
}

// Stop ends the part under way.
func (m *Meter) Stop() {
	if m != nil {
		m.close(time.Now(), CPUSeconds())
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

// Parts are the parts in the order in which they were first begun.
func (m *Meter) Parts() []Part {
	if m == nil {
		return nil
	}
	return append([]Part(nil), m.parts...)
}

// Rate is the best of so many measurements of float32 multiply-adds on registers: how
// many operations, two each, a second of one processor can do. 0: not known for this
// CPU or system. It is by processor time, so that other programs take little from it.
func Rate(p *kernel.Pool, rounds int) (best float64) {
	for range rounds {
		cpu, start := CPUSeconds(), time.Now()
		rate, ok := p.PeakFMA()
		if !ok {
			return 0
		}
		done := rate * time.Since(start).Seconds()
		if spent := CPUSeconds() - cpu; spent > 0 {
			best = max(best, done/spent)
		}
	}
	return best
}

// Share is which share of the rate that [Rate] gives the products of the part reach, by
// processor time; those in float64 count twice. 0: not known.
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
