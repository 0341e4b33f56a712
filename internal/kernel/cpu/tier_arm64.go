package cpu

import "golang.org/x/sys/cpu"

// detect returns the CPU's tiers above [Portable], the lowest first. Every CPU of this
// architecture that Go supports has NEON.
func detect() []Tier {
	if cpu.ARM64.HasASIMDDP {
		return []Tier{NEON, NEONDot}
	}
	return []Tier{NEON}
}
