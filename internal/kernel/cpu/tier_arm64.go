package cpu

import "golang.org/x/sys/cpu"

// detect finds the tiers above [Portable]. Every CPU of this architecture that
// Go runs on has NEON.
func detect() []Tier {
	if cpu.ARM64.HasASIMDDP {
		return []Tier{NEON, NEONDot}
	}
	return []Tier{NEON}
}
