package recipe

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/spectrum"
)

// fullRecipe sets every key there is.
const fullRecipe = `name: full
about: all keys
bits: 4-8-8
weights:
  group: 64
  clip: mse
smooth:
  alpha: [off, 0, 0.5, 1]
branch:
  basis: dct
  axis: output
  components: 12.5
  overhead: 0.25
  importance: hessian
  temperature: 2
  literal: true
  truncate: 0.01
solve:
  method: gptq
  damp: 0.05
  act-order: true
activations:
  clip: 0.9
head:
  bits: 8
calibration:
  samples: 12
  tokens: 128
  seed: 7
  propagate: full
`

// least is the shortest recipe, to append to.
const least = `name: least
bits: 4-4-4
solve:
  method: rtn
`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(fullRecipe), "full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Recipe{
		Name: "full", About: "all keys", BitsText: "4-8-8", Bits: quant.Bits{Weights: 4, Activations: 8, KV: 8},
		Weights: Weights{Group: 64, Scales: quant.ScalesHalves, Clip: quant.ClipMSE, Zero: quant.ZeroSymmetric},
		Smooth:  &Smooth{Alpha: AlphaGrid{Off, 0, 0.5, 1}},
		Branch: &Branch{Basis: "dct", Axis: "output", Components: 12.5, Overhead: 0.25,
			Importance: spectrum.Hessian, Temperature: 2, Literal: true, Truncate: 0.01},
		Solve:       Solve{Method: "gptq", Damp: 0.05, ActOrder: true},
		Activations: Activations{Clip: 0.9}, Head: Head{Bits: 8, Scales: quant.ScalesHalves, Method: "rtn"}, Embedding: Table{Bits: 16, Scales: quant.ScalesHalves},
		Calibration: Calibration{Samples: 12, Tokens: 128, Seed: 7, Propagate: "full"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseDefaults(t *testing.T) {
	got, err := Parse([]byte(least), "least.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Recipe{
		Name: "least", BitsText: "4-4-4", Bits: quant.Bits{Weights: 4, Activations: 4, KV: 4},
		Weights: Weights{Scales: quant.ScalesHalves, Clip: quant.ClipNone, Zero: quant.ZeroSymmetric}, Solve: Solve{Method: "rtn"}, Activations: Activations{Clip: 1}, Head: Head{Bits: 16, Scales: quant.ScalesHalves, Method: "rtn"}, Embedding: Table{Bits: 16, Scales: quant.ScalesHalves},
		Calibration: Calibration{Samples: 256, Tokens: 2048, Propagate: "quantized"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.NeedsCalibration() {
		t.Error("plain rounding asks for calibration")
	}
}

func TestParseAlphaForms(t *testing.T) {
	for text, want := range map[string]AlphaGrid{
		"off": {Off}, `"off"`: {Off}, "0": {0}, "0.5": {0.5}, "1": {1}, "1.0 # all of it": {1}, "1e-1": {0.1},
		"[off]": {Off}, "[off, 0, 0.25, 1]": {Off, 0, 0.25, 1}, "[0.5, 0.5]": {0.5, 0.5}, "[1e-1, .5]": {0.1, 0.5},
		"\n  - off\n  - 0.75\n": {Off, 0.75},
	} {
		r, err := Parse([]byte(least+"smooth:\n  alpha: "+text+"\n"), "f.yaml")
		if err != nil {
			t.Errorf("alpha %q: %v", text, err)
			continue
		}
		if !slices.Equal(r.Smooth.Alpha, want) {
			t.Errorf("alpha %q: %v, want %v", text, r.Smooth.Alpha, want)
		}
	}
	if s := Off.String() + " " + Alpha(0).String() + " " + Alpha(0.55).String(); s != "off 0.00 0.55" {
		t.Errorf("alphas read %q", s)
	}
}

// replaced is fullRecipe with one line changed.
func replaced(t testing.TB, old, now string) string {
	t.Helper()
	if strings.Count(fullRecipe, old+"\n") != 1 {
		t.Fatalf("%q is not once in the recipe", old)
	}
	return strings.Replace(fullRecipe, old+"\n", now+"\n", 1)
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string // all in the message
	}{
		{"empty", "", []string{"is empty"}},
		{"only a comment", "# nothing\n", []string{"is empty"}},
		{"no mapping", "[1, 2]", []string{"mapping is expected"}},
		{"null", "null", []string{"mapping is expected"}},
		{"bad YAML", "name: [x\n", []string{"line 1:"}},
		{"second document", least + "---\nname: other\n", []string{"second YAML document"}},
		{"unknown key", least + "bitz: 4\n", []string{"[5:1]", `"bitz"`}},
		{"unknown nested key", replaced(t, "  axis: output", "  axes: output"), []string{"[11:3]", `"axes"`}},
		{"repeated key", least + "name: again\n", []string{"[5:1]", `"name" already defined`}},
		{"dotted key", least + "weights.group: 32\n", []string{"[5:1]", "unknown key", `"weights.group"`}},
		{"merged key", least + "<<: {about: y}\n", []string{"unknown key"}},
		{"rotate.seed fraction", least + "rotate: {heads: hadamard, seed: 1.5}\n", []string{"rotate.seed", "1.5", "whole number"}},
		{"layer without bits", least + "weights: {layers: [{match: down_proj}]}\n", []string{"weights.layers", "missing"}},
		{"a number for a section", least + "weights: 7\n", []string{"[5:10]", "mapping is expected"}},

		{"no name", replaced(t, "name: full", ""), []string{"name: missing"}},
		{"no bits", replaced(t, "bits: 4-8-8", ""), []string{"bits", "expected weights-activations-KV"}},
		{"bad bits", replaced(t, "bits: 4-8-8", "bits: 4-8-7"), []string{"KV cache in 7 bits"}},
		{"16-bit weights", replaced(t, "bits: 4-8-8", "bits: 16-16-16"), []string{"weights in 16 bits"}},
		{"no solve", "name: x\nbits: 4-4-4\n", []string{"solve.method", "rtn, gptq"}},

		{"group", replaced(t, "  group: 64", "  group: 48"), []string{"weights.group", `"48"`, "0, 16, 32, 64, 128"}},
		{"negative group", replaced(t, "  group: 64", "  group: -32"), []string{"weights.group"}},
		{"fractional group", replaced(t, "  group: 64", "  group: 64.5"), []string{"weights.group", "64.5", "whole number"}},
		{"group text", replaced(t, "  group: 64", "  group: many"), []string{"[5:10]"}},
		{"weights.clip", replaced(t, "  clip: mse", "  clip: mae"), []string{"weights.clip", `"mae"`, "none, mse"}},

		{"alpha above", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: [0, 1.01]"), []string{"smooth.alpha", "1.01"}},
		{"alpha below", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: -0.1"), []string{"smooth.alpha", "-0.1"}},
		{"alpha -1 is not off", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: -1"), []string{"smooth.alpha", "-1"}},
		{"alpha NaN", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: .nan"), []string{"smooth.alpha", "NaN"}},
		{"alpha on", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: on"), []string{"smooth.alpha", "on"}},
		{"alpha true", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: true"), []string{"smooth.alpha", "true"}},
		{"alpha null in a list", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: [0, ~]"), []string{"smooth.alpha"}},
		{"alpha list in a list", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: [[0]]"), []string{"smooth.alpha"}},
		{"alpha a tag without a value", "smooth:\n alpha: !x\nname: y\n", []string{"[2:9]", "tag", "!x"}},
		{"alpha mapping", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: {a: 1}"), []string{"smooth.alpha"}},
		{"no alpha in the list", replaced(t, "  alpha: [off, 0, 0.5, 1]", "  alpha: []"), []string{"smooth.alpha", "missing"}},
		{"no alpha", least + "smooth: {}\n", []string{"smooth.alpha", "missing"}},

		{"basis", replaced(t, "  basis: dct", "  basis: fft"), []string{"branch.basis", `"fft"`, "dft, dct"}},
		{"no basis", replaced(t, "  basis: dct", ""), []string{"branch.basis"}},
		{"axis", replaced(t, "  axis: output", "  axis: row"), []string{"branch.axis", `"row"`}},
		{"importance", replaced(t, "  importance: hessian", "  importance: size"), []string{"branch.importance", `"size"`, "interaction", "l2"}},
		{"components", replaced(t, "  components: 12.5", "  components: -1"), []string{"branch.components", "-1"}},
		{"overhead", replaced(t, "  overhead: 0.25", "  overhead: 17"), []string{"branch.overhead", "17"}},
		{"temperature", replaced(t, "  temperature: 2", "  temperature: .inf"), []string{"branch.temperature", "Inf"}},
		{"truncate", replaced(t, "  truncate: 0.01", "  truncate: 0.6"), []string{"branch.truncate", "0.6"}},
		{"truncate on the input axis", replaced(t, "  axis: output", "  axis: input"), []string{"branch.truncate", "axis input"}},

		{"method", replaced(t, "  method: gptq", "  method: obq"), []string{"solve.method", `"obq"`, "rtn, gptq"}},
		{"damp", replaced(t, "  damp: 0.05", "  damp: 2"), []string{"solve.damp", "2", "0 to 1"}},
		{"damp NaN", replaced(t, "  damp: 0.05", "  damp: .nan"), []string{"solve.damp"}},
		{"sweeps", replaced(t, "  damp: 0.05", "  damp: 0.05\n  sweeps: -1"), []string{"solve.sweeps", "-1", "0 to 100"}},
		{"sweeps, a fraction", replaced(t, "  damp: 0.05", "  damp: 0.05\n  sweeps: 1.5"), []string{"sweeps"}},
		{"no damp", replaced(t, "  damp: 0.05", ""), []string{"solve.damp", "missing"}},
		{"act-order", replaced(t, "  act-order: true", "  act-order: 3"), []string{"[21:"}},

		{"activations.clip 0", replaced(t, "  clip: 0.9", "  clip: 0"), []string{"activations.clip"}},
		{"activations.clip above", replaced(t, "  clip: 0.9", "  clip: 1.5"), []string{"activations.clip", "1.5"}},
		{"head bits", replaced(t, "  bits: 8", "  bits: 9"), []string{"head.bits", `"9"`, "8, 16"}},
		{"head bits fraction", replaced(t, "  bits: 8", "  bits: 8.2"), []string{"head.bits", "8.2", "whole number"}},
		{"samples 0", replaced(t, "  samples: 12", "  samples: 0"), []string{"calibration.samples"}},
		{"samples fraction", replaced(t, "  samples: 12", "  samples: 1.5"), []string{"calibration.samples", "1.5", "whole number"}},
		{"tokens 1", replaced(t, "  tokens: 128", "  tokens: 1"), []string{"calibration.tokens"}},
		{"seed", replaced(t, "  seed: 7", "  seed: -7"), []string{"[29:"}},
		{"seed fraction", replaced(t, "  seed: 7", "  seed: 7.9"), []string{"calibration.seed"}},
		{"a typo of gptq that rules for rtn would hide", replaced(t, "  method: gptq", "  method: gtpq\n  correct: stream"), []string{"solve.method", `"gtpq"`, "rtn, gptq"}},
		{"a typo of a basis that rules for Fourier bases would hide", replaced(t, "  basis: dct", "  basis: dct7\n  share: 0.1"), []string{"branch.basis", `"dct7"`, "dft, dct, klt"}},
		{"a typo of an axis", replaced(t, "  axis: output", "  axis: outptu"), []string{"branch.axis", `"outptu"`, "output, input"}},
		{"damp text", replaced(t, "  damp: 0.05", "  damp: abc"), []string{"[20:9]", `found "abc", expected a number`}},
		{"a list for a number", replaced(t, "  damp: 0.05", "  damp: [1]"), []string{"[20:"}},
		{"samples text", replaced(t, "  samples: 12", "  samples: many"), []string{`found "many", expected a whole number`}},
		{"act-order text", replaced(t, "  act-order: true", "  act-order: maybe"), []string{`found "maybe", expected true or false`}},
		{"binary", "name: x\x00\x1b[2J\xff", []string{"not a text file", "byte 7 is 0x00"}},
		{"Latin-1", "name: caf\xe9\n", []string{"not a text file", "byte 9 is 0xe9"}},
		{"propagate", replaced(t, "  propagate: full", "  propagate: half"), []string{"calibration.propagate", `"half"`, "quantized, full"}},
	} {
		r, err := Parse([]byte(c.text), "some.yaml")
		if err == nil {
			t.Errorf("%s: read as %+v", c.name, r)
			continue
		}
		if strings.ContainsAny(err.Error(), "\x00\x1b") || strings.Contains(err.Error(), "Go struct") {
			t.Errorf("%s: error %q is not for a terminal", c.name, err)
		}
		for _, want := range append(c.want, "recipe some.yaml: ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", c.name, err, want)
			}
		}
	}
}

func TestEmbeddedRecipes(t *testing.T) {
	names := Names()
	for _, want := range []string{"rtn", "specquant"} {
		if !slices.Contains(names, want) {
			t.Errorf("no embedded recipe %s in %v", want, names)
		}
	}
	for _, name := range names {
		r, err := Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if r.Name != name || r.About == "" {
			t.Errorf("recipe %s has the name %q and the description %q", name, r.Name, r.About)
		}
		if r.NeedsCalibration() != (name != "rtn") {
			t.Errorf("recipe %s: NeedsCalibration is %v", name, r.NeedsCalibration())
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.yaml")
	if err := os.WriteFile(file, []byte(fullRecipe), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, err := Load(file); err != nil || r.Name != "full" {
		t.Errorf("Load: %v, %v", r, err)
	}
	large := filepath.Join(dir, "large.yml")
	if err := os.WriteFile(large, make([]byte, maxRecipe+1), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"":                              "unknown recipe",
		"specquand":                     "specquant-fast",
		filepath.Join(dir, "none.yaml"): "no such file",
		dir + "/x.json":                 "unknown recipe",
		large:                           "at most",
	} {
		if _, err := Load(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%q): error %v lacks %q", name, err, want)
		}
	}
}

func TestSetBits(t *testing.T) {
	r, err := Load("rtn")
	if err != nil {
		t.Fatal(err)
	}
	want := quant.Bits{Weights: 4, Activations: 16, KV: 16}
	if err := r.SetBits(want); err != nil || r.Bits != want || r.BitsText != "4-16-16" {
		t.Errorf("bits %v %q, %v", r.Bits, r.BitsText, err)
	}
	if err := r.SetBits(quant.Full); err == nil || r.Bits != want {
		t.Errorf("16-bit weights: %v, bits %v", err, r.Bits)
	}
}

// Whatever Parse takes has only values that the stages can work with.
func FuzzParseRecipe(f *testing.F) {
	f.Add([]byte(fullRecipe))
	f.Add([]byte(least))
	for _, name := range Names() {
		data, err := embedded.ReadFile("recipes/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{"", "{}", "name: &a [*a]", least + "smooth: {alpha: [off, .nan]}", least + "---\n- 1", "a: !!binary x", "smooth:\n alpha: !x\nname: y", least + "<<: {name: y}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(data, "fuzz.yaml")
		if err != nil {
			if r != nil || !strings.HasPrefix(err.Error(), "recipe fuzz.yaml: ") {
				t.Fatalf("recipe %v, error %q", r, err)
			}
			return
		}
		if r.Name == "" || r.Bits.Check() != nil || r.Bits.String() != r.BitsText {
			t.Fatalf("accepted %+v", r)
		}
		if r.Smooth != nil {
			for _, a := range r.Smooth.Alpha {
				if a != Off && !(a >= 0 && a <= 1) {
					t.Fatalf("accepted alpha %v", float64(a))
				}
			}
		}
		if b := r.Branch; b != nil {
			if k := b.PerChannel(spectrum.OutputChannel, 32, 64); !(k >= 0 && k <= 64) {
				t.Fatalf("accepted a branch of %v components: %+v", k, b)
			}
		}
		switch w := r.Weights; {
		case !slices.Contains([]int{0, 16, 32, 64, 128}, w.Group):
			t.Fatalf("accepted group %d", w.Group)
		case w.Scales == quant.ScalesMultiples && (w.Group == 0 || !slices.Contains(quant.MultipleBits, r.Bits.Weights) || w.Zero != quant.ZeroSymmetric),
			w.Scales == quant.ScalesHalves && w.Group == 16:
			t.Fatalf("accepted %d bits with %+v", r.Bits.Weights, w)
		}
	})
}

// A file that is there, but is not named as recipes are, is not an unknown recipe.
func TestLoadOtherName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.txt")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "unknown recipe") {
		t.Errorf("no such file: %v", err)
	}
	if err := os.WriteFile(path, []byte(least), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || strings.Contains(err.Error(), "unknown recipe") || !strings.Contains(err.Error(), "ends in .yaml") {
		t.Errorf("a file of another name: %v", err)
	}
}
