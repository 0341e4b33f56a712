package pipeline

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// Measure fills in the expected time from a short measurement of the operations that dominate.
func (p *Plan) Measure(pool *parallel.Pool) {
	s := measureSpeeds(p.config, pool, p.Tokens)
	p.estimate(&s)
}

// estimate fills in the expected time at the given speeds.
func (p *Plan) estimate(s *speeds) {
	p.before.least, p.before.most = s.seconds(p.phases.before)
	p.block.least, p.block.most = s.seconds(p.phases.block)
	p.after.least, p.after.most = s.seconds(p.phases.after)
	p.block.least, p.block.most = p.block.least+blockSeconds, p.block.most+2*blockSeconds
	cpus := float64(runtime.NumCPU())
	p.Load = machineLoad() / cpus
	least, most := stretch(p.Load, min(1, float64(p.Threads)/cpus))
	for _, s := range []*span{&p.before, &p.block, &p.after} {
		s.least, s.most = s.least*least, s.most*most
	}
	n := float64(p.Blocks)
	p.Least = seconds(p.before.least + n*p.block.least + p.after.least)
	p.Most = seconds(p.before.most + n*p.block.most + p.after.most)
}

// stretch is the range of how many times longer a job takes on a machine that other programs
// keep busy than alone on it: load and threads are theirs and its own for each processor. If
// there are more than processors, the job gets its share of them, or, as the others' load
// changes and priorities differ, between twice that and two thirds of it.
func stretch(load, threads float64) (least, most float64) {
	fair := load + threads
	if fair <= 1.05 {
		return 1, 1
	}
	return max(1, fair/2), 1.5 * fair
}

// machineLoad returns the load average of the last minute: the mean number of threads that ran
// or waited for a processor; 0 if the system does not report it.
func machineLoad() float64 {
	data, err := input.ReadFile("/proc/loadavg", input.MaxSmall)
	if err != nil {
		return 0
	}
	var load float64
	if _, err := fmt.Sscan(string(data), &load); err != nil || !(load >= 0) {
		return 0
	}
	return load
}

// Limit sets the garbage collector so that the process stays within the plan's peak: GOGC to
// the share of garbage that the plan counts, and the memory limit to the peak. The function
// that it returns restores the settings.
func (p *Plan) Limit() (restore func()) {
	percent := debug.SetGCPercent(gcPercent)
	limit := debug.SetMemoryLimit(max(p.Peak-filePages, 1))
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// filePages is the part of [programBytes] that Go's runtime does not count: pages of the
// binary, in bytes.
const filePages = 14 << 20
