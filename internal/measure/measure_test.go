package measure

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/parallel"
)

// TestProduct: every format and number of tokens gives speeds, and leaves the tier as it was.
func TestProduct(t *testing.T) {
	p := parallel.NewPool(1)
	defer p.Close()
	meter, tiles := cpu.NewLimitMeter(p), randomBytes(5<<20)
	tier := cpu.Active()
	for _, f := range Formats {
		for _, tokens := range Tokens {
			k, err := product(p, meter, f, tokens, tiles, tier, below(tier))
			if err != nil {
				t.Fatal(f, err)
			}
			if k.Format != f || k.Tokens != tokens || !(k.Bytes > 0) || !(k.Ops > 0) || tokens < PromptTokens && !(k.Share > 0) {
				t.Errorf("%+v", k)
			}
			if has := below(tier) != tier; has != (k.Below > 0) {
				t.Errorf("%+v: a tier below: %v", k, has)
			}
		}
	}
	if cpu.Active() != tier {
		t.Errorf("kernels are %v now, expected %v", cpu.Active(), tier)
	}
}

func TestFaster(t *testing.T) {
	for _, c := range []struct {
		below []float64
		want  float64
	}{{nil, 1}, {[]float64{2, .5}, 1}, {[]float64{.8, .8}, .8}, {[]float64{2, 0}, 1}} {
		var r Result
		for _, b := range c.below {
			r.Kernels = append(r.Kernels, Kernel{Below: b})
		}
		if got := r.Faster(); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v: %v, want %v", c.below, got, c.want)
		}
	}
}

// TestChoice: a choice counts on the machine that it was made on, and nowhere else.
func TestChoice(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir) // Linux
	t.Setenv("HOME", dir)           // macOS
	t.Setenv("LocalAppData", dir)   // Windows
	t.Setenv(cpu.EnvTier, "")
	defer cpu.SetTier(cpu.SetTier(cpu.Best()))
	if _, ok := Remembered("A"); ok {
		t.Error("a choice before any was made")
	}
	if err := Forget(); err != nil {
		t.Error(err)
	}
	lowest := below(cpu.Best())
	c := Choice{CPU: "A", Best: cpu.Best().String(), Tier: lowest.String(), Less: .9}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	got, ok := Remembered("A")
	if !ok || got != c {
		t.Errorf("%+v, %v; want %+v", got, ok, c)
	}
	if lowest != cpu.Portable {
		if !got.Apply() || cpu.Active() != lowest {
			t.Errorf("kernels are %v, want %v", cpu.Active(), lowest)
		}
		t.Setenv(cpu.EnvTier, cpu.Best().String())
		cpu.SetTier(cpu.Best())
		if got.Apply() || cpu.Active() != cpu.Best() {
			t.Error("a choice overrules the environment")
		}
		t.Setenv(cpu.EnvTier, "")
	}
	if _, ok := Remembered("B"); ok {
		t.Error("a choice of another processor counts")
	}
	for _, bad := range []Choice{{Tier: "portable"}, {Tier: "vax"}, {}} {
		if bad.Apply() {
			t.Errorf("%+v is applied", bad)
		}
	}
	path, err := choiceFile()
	if err != nil || filepath.Dir(filepath.Dir(path)) == "" {
		t.Fatal(path, err)
	}
	for _, damaged := range []string{"", "{", "[]", `{"cpu":3}`} {
		if err := os.WriteFile(path, []byte(damaged), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, ok := Remembered("A"); ok {
			t.Errorf("%q counts as a choice", damaged)
		}
	}
	if err := Forget(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the choice is still there")
	}
}
