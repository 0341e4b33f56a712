package artefact

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/quant"
	"github.com/specquant/specquant/internal/recipe"
)

// goodConfig sets every field.
const goodConfig = `{"quant_method":"specquant","format_version":1,"bits":{"weights":4,"activations":8,"kv":16},
"group_size":64,"activation_clip":0.9,"head_bits":8,"branch":{"basis":"dft","axis":"output","truncate":0.01}}`

// multiplesConfig is of an artefact whose scales are multiples.
const multiplesConfig = `{"quant_method":"specquant","format_version":6,"bits":{"weights":5,"activations":8,"kv":8},
"group_size":16,"scales":"multiples","activation_clip":1,"head_bits":8}`

// multipleTablesConfig has them in output matrix and embedding too.
const multipleTablesConfig = `{"quant_method":"specquant","format_version":7,"bits":{"weights":5,"activations":8,"kv":8},"group_size":16,"scales":"multiples",
"activation_clip":1,"head_bits":6,"head_group_size":16,"head_scales":"multiples","embedding_bits":4,"embedding_group_size":32,"embedding_scales":"multiples"}`

// TestParseMultiples: scales that are multiples are read as they are written; halves are not
// written, and with either the version is that of the oldest program that reads them.
func TestParseMultiples(t *testing.T) {
	want := &Quantization{Method: Method, Version: VersionOf(quant.ScalesMultiples, quant.ScalesHalves, ""), Bits: quant.Bits{Weights: 5, Activations: 8, KV: 8},
		Group: 16, Scales: quant.ScalesMultiples, ActClip: 1, Head: 8, Embedding: 16}
	if got, err := ParseQuantization([]byte(multiplesConfig), "config.json"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read as %+v, %v", got, err)
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseQuantization(data, "config.json"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("written as %s, read as %+v, %v", data, got, err)
	}
	if g := want.Grid(5); g != (quant.Grid{Bits: 5, Group: 16, Zero: quant.ZeroSymmetric, Multiples: true}) || want.ProductGroup() != 0 {
		t.Errorf("grid %+v, products in groups of %d", g, want.ProductGroup())
	}
	tables, err := ParseQuantization([]byte(multipleTablesConfig), "config.json")
	if err != nil {
		t.Fatal(err)
	}
	if head, embedding := tables.Tables(); head != (recipe.Table{Bits: 6, Group: 16, Scales: quant.ScalesMultiples}) || embedding != (recipe.Table{Bits: 4, Group: 32, Scales: quant.ScalesMultiples}) {
		t.Errorf("output matrix %+v, embedding %+v", head, embedding)
	}
	if data, err = json.Marshal(tables); err != nil {
		t.Fatal(err)
	}
	if again, err := ParseQuantization(data, "config.json"); err != nil || !reflect.DeepEqual(again, tables) {
		t.Errorf("written as %s, read as %+v, %v", data, again, err)
	}
	want.Scales, want.Version = quant.ScalesHalves, VersionOf(quant.ScalesHalves, "", quant.ScalesHalves)
	if h, e := VersionOf("", quant.ScalesMultiples, ""), VersionOf(quant.ScalesMultiples, "", quant.ScalesMultiples); h != 7 || e != 7 {
		t.Errorf("versions %d and %d with multiples in the output matrix and the embedding, want 7", h, e)
	}
	if data, err = json.Marshal(want); err != nil || strings.Contains(string(data), "scales") || want.Version != 5 || want.ProductGroup() != 16 {
		t.Errorf("halves: written as %s, %v; products in groups of %d", data, err, want.ProductGroup())
	}
}

func TestParseQuantization(t *testing.T) {
	got, err := ParseQuantization([]byte(goodConfig), "config.json")
	if err != nil {
		t.Fatal(err)
	}
	want := &Quantization{Method: Method, Version: 1, Bits: quant.Bits{Weights: 4, Activations: 8, KV: 16}, Group: 64, ActClip: 0.9,
		Head: 8, Embedding: 16, Branch: &BranchFormat{Basis: "dft", Axis: "output", Truncate: 0.01}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	// It is written as it is read.
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseQuantization(data, "config.json"); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("written as %s, read as %+v, %v", data, again, err)
	}
}

func TestParseQuantizationRefuses(t *testing.T) {
	swap := func(old, now string) string {
		if strings.Count(goodConfig, old) != 1 {
			t.Fatalf("%q is not once in the config", old)
		}
		return strings.Replace(goodConfig, old, now, 1)
	}
	multiples := func(old, now string) string {
		if strings.Count(multiplesConfig, old) != 1 {
			t.Fatalf("%q is not once in the config", old)
		}
		return strings.Replace(multiplesConfig, old, now, 1)
	}
	for _, c := range []struct {
		raw  string
		want []string
	}{
		{``, nil},
		{`null`, []string{`found null`, `expected an object`}},
		{`[]`, nil},
		{`7`, nil},
		{`{}`, []string{`quant_method is ""`, "specquant"}},
		{`{"quant_method":"gptq","bits":4,"group_size":"x"}`, []string{`"gptq"`, "other tools"}},
		{swap(`"specquant"`, `7`), []string{"quant_method"}},
		{swap(`"format_version":1`, `"format_version":8`), []string{"format_version is 8", "reads 1 to 7"}},
		{swap(`"format_version":1,`, ``), []string{"format_version is 0"}},
		{swap(`"weights":4`, `"weights":9`), []string{"weights in 9 bits"}},
		{swap(`"activations":8`, `"activations":7`), []string{"activations in 7 bits"}},
		{swap(`"kv":16`, `"kv":2`), []string{"KV cache in 2 bits"}},
		{swap(`{"weights":4,"activations":8,"kv":16}`, `4`), []string{"bits"}},
		{swap(`"group_size":64`, `"group_size":-8`), []string{"group_size is -8"}},
		{swap(`"truncate":0.01`, `"truncate":0.01,"bits":8`), []string{"branch.bits is 8", "stored basis", "dft"}},
		{swap(`"truncate":0.01`, `"truncate":0.01,"bits":4`), []string{"branch.bits is 4", "8 or 16"}},
		{swap(`"group_size":64`, `"group_size":4`), []string{"group_size is 4"}},
		{swap(`"group_size":64`, `"group_size":36`), []string{"group_size is 36"}},
		{swap(`"group_size":64`, `"group_size":9223372036854775800`), []string{"group_size is 9223372036854775800"}},
		{swap(`"group_size":64`, `"group_size":64.5`), []string{"group_size"}},
		{swap(`0.9`, `0`), []string{"activation_clip is 0"}},
		{swap(`0.9`, `-0.5`), []string{"activation_clip is -0.5"}},
		{swap(`0.9`, `1.1`), []string{"activation_clip is 1.1"}},
		{swap(`"activation_clip":0.9,`, ``), []string{"activation_clip is 0"}},
		{swap(`"head_bits":8`, `"head_bits":9`), []string{"head_bits is 9"}},
		{swap(`"dft"`, `"fft"`), []string{`branch.basis is "fft"`}},
		{swap(`"output"`, `"row"`), []string{`branch.axis is "row"`}},
		{swap(`"truncate":0.01`, `"truncate":1`), []string{"branch.truncate is 1"}},
		{swap(`"truncate":0.01`, `"truncate":-0.01`), []string{"branch.truncate is -0.01"}},
		{swap(`{"basis":"dft","axis":"output","truncate":0.01}`, `{}`), []string{`branch.basis is ""`}},
		{swap(`"group_size":64`, `"group_size":64,"scales":"tenths"`), []string{`scales is "tenths"`, "halves or multiples"}},
		{swap(`"group_size":64`, `"group_size":64,"scales":"multiples"`), []string{"format_version is 1 with scales multiples", "expected 6 or more"}},
		{multiples(`"head_bits":8`, `"head_bits":6,"head_scales":"multiples","head_group_size":16`), []string{"format_version is 6 with head_scales multiples", "expected 7"}},
		{multiples(`"group_size":16`, `"group_size":0`), []string{"group_size is 0 with scales multiples", "expected 16 or a multiple of 32"}},
		{multiples(`"group_size":16`, `"group_size":24`), []string{"group_size is 24 with scales multiples"}},
		{multiples(`"group_size":16`, `"group_size":48`), []string{"group_size is 48 with scales multiples"}},
		{multiples(`"weights":5`, `"weights":8`), []string{"bits.weights is 8 with scales multiples", "[2 3 4 5 6 7]"}},
		{multiples(`"head_bits":8`, `"head_bits":8,"zero_point":"centred"`), []string{"zero_point is centred with scales multiples", "symmetric"}},
		{multiples(`"head_bits":8`, `"head_bits":8,"layer_bits":{"a":16,"b":8}`), []string{"layer_bits of b is 8 with scales multiples", "[2 3 4 5 6 7] or 16"}},
	} {
		q, err := ParseQuantization([]byte(c.raw), "dir/config.json")
		wantError(t, c.raw, err, append(c.want, "dir/config.json: quantization_config: ")...)
		if err != nil && q != nil {
			t.Errorf("%s: a result beside the error", c.raw)
		}
	}
}

// What is accepted has been checked, and says the same when written.
func FuzzParseQuantization(f *testing.F) {
	f.Add([]byte(goodConfig))
	for _, s := range []string{multiplesConfig, multipleTablesConfig, ``, `null`, `{}`, `{"quant_method":"gptq"}`, strings.Replace(goodConfig, "64", "0", 1), strings.Replace(goodConfig, "0.9", "1e-400", 1)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := ParseQuantization(raw, "config.json")
		if err != nil {
			return
		}
		if q.Bits.Check() != nil || q.Group < 0 || q.Group%8 != 0 || q.Group > maxGroup || !(q.ActClip > 0 && q.ActClip <= 1) {
			t.Fatalf("accepted %+v", q)
		}
		if q.Scales == quant.ScalesMultiples && (!quant.MultipleGroup(q.Group) || q.Bits.Weights > 7) {
			t.Fatalf("accepted %+v", q)
		}
		data, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseQuantization(data, "config.json"); err != nil || !reflect.DeepEqual(again, q) {
			t.Fatalf("%s became %+v, %v", data, again, err)
		}
	})
}

// TestOverfitted: a ratio above the limit counts only if chance does not explain it.
func TestOverfitted(t *testing.T) {
	for _, c := range []struct {
		name  string
		check Check
		want  bool
	}{
		{"below the limit", Check{HeldOut: true, KL: 0.019, KLFitted: 0.01}, false},
		{"above, errors not known", Check{HeldOut: true, KL: 0.021, KLFitted: 0.01}, true},
		{"above by chance", Check{HeldOut: true, KL: 0.099, KLErr: 0.02, KLFitted: 0.04, KLFittedErr: 0.01}, false},
		{"above by more", Check{HeldOut: true, KL: 0.099, KLErr: 0.004, KLFitted: 0.02, KLFittedErr: 0.01}, true},
		{"by the error of the fitted text", Check{HeldOut: true, KL: 0.099, KLErr: 0.004, KLFitted: 0.02, KLFittedErr: 0.02}, false},
		{"nothing held out", Check{KL: 0.1, KLFitted: 0.01}, false},
	} {
		if got := c.check.Overfitted(); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}
