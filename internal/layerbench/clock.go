// Package layerbench quantizes one wide layer that no model has, by any recipe, and
// measures error, bits, time and memory: for shapes of models that do not fit here.
package layerbench

import (
	"time"

	"github.com/specquant/specquant/internal/stage"
)

// Stage is what a part of the work on a layer took.
type Stage struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds,omitempty"` // of all threads; 0: not known on this system
	// Flops is the floating-point work of its matrix products, two for a
	// multiply-add; 0 where it has none. All else it does is in its seconds.
	Flops float64 `json:"flops,omitempty"`
	// Wide says that the products are in float64.
	Wide bool `json:"wide,omitempty"`
}

// clock adds up where the time of a layer goes; it is a [stage.Clock].
type clock struct {
	stages  []Stage
	current int // of stages, + 1; 0: none
	since   time.Time
	cpu     float64
}

// At implements [stage.Clock].
func (c *clock) At(name string, flops float64) {
	c.stop()
	for i := range c.stages {
		if c.stages[i].Name == name {
			c.current = i + 1
		}
	}
	if c.current == 0 {
		c.stages = append(c.stages, Stage{Name: name, Wide: name == stage.PartFactor})
		c.current = len(c.stages)
	}
	c.stages[c.current-1].Flops += flops
	c.since, c.cpu = time.Now(), cpuSeconds()
}

// stop ends the stage under way.
func (c *clock) stop() {
	if c.current == 0 {
		return
	}
	c.stages[c.current-1].Seconds += time.Since(c.since).Seconds()
	c.stages[c.current-1].CPU += cpuSeconds() - c.cpu
	c.current = 0
}
