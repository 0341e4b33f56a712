package cpu

import "golang.org/x/sys/cpu"

// detect returns the CPU's tiers above [Portable], the lowest first.
func detect() (t []Tier) {
	x := &cpu.X86
	if !(x.HasAVX2 && x.HasFMA && x.HasF16C) {
		return nil
	}
	t = append(t, AVX2)
	if x.HasAVXVNNI {
		t = append(t, AVXVNNI)
	}
	if !(x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL) {
		return t
	}
	t = append(t, AVX512)
	if x.HasAVX512VNNI {
		t = append(t, AVX512VNNI)
		if x.HasAMXTile && x.HasAMXInt8 && permitAMX() {
			t = append(t, AMX)
		}
	}
	return t
}
