package cpu

import "testing"

// TestSetTier: a tier that the CPU does not have is lowered to one that it has,
// also where that is not the one before it.
func TestSetTier(t *testing.T) {
	defer SetTier(SetTier(Best()))
	defer func(t []Tier) { tiers = t }(tiers)
	for _, c := range []struct {
		has       []Tier
		set, want Tier
	}{
		{[]Tier{Portable}, AVX512VNNI, Portable},
		{[]Tier{Portable, NEON}, NEONDot, NEON},
		{[]Tier{Portable, NEON, NEONDot}, AVX2, NEONDot},
		{[]Tier{Portable, AVX2, AVXVNNI}, AVX512VNNI, AVXVNNI},
		{[]Tier{Portable, AVX2, AVX512, AVX512VNNI}, AVXVNNI, AVX2},
		{[]Tier{Portable, AVX2, AVX512, AVX512VNNI}, NEONDot, Portable},
		{[]Tier{Portable, AVX2, AVX512, AVX512VNNI}, AMX, AVX512VNNI},
	} {
		tiers = c.has
		if SetTier(c.set); Active() != c.want {
			t.Errorf("of %v, %v gives %v, want %v", c.has, c.set, Active(), c.want)
		}
		if Best() != c.has[len(c.has)-1] {
			t.Errorf("best of %v is %v", c.has, Best())
		}
	}
	for name, want := range map[string]Tier{"portable": Portable, "neondot": NEONDot, "avxvnni": AVXVNNI, "avx512vnni": AVX512VNNI, "amx": AMX} {
		if got, err := ParseTier(name); err != nil || got != want || got.String() != name {
			t.Errorf("tier %q is %v: %v", name, got, err)
		}
	}
}
