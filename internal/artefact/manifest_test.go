package artefact

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/quant"
)

// goodConfig sets every field.
const goodConfig = `{"quant_method":"specquant","format_version":1,"bits":{"weights":4,"activations":8,"kv":16},
"group_size":64,"activation_clip":0.9,"head_bits":8,"branch":{"basis":"dft","axis":"output","truncate":0.01}}`

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
		{swap(`"format_version":1`, `"format_version":6`), []string{"format_version is 6", "reads 1 to 5"}},
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
	for _, s := range []string{``, `null`, `{}`, `{"quant_method":"gptq"}`, strings.Replace(goodConfig, "64", "0", 1), strings.Replace(goodConfig, "0.9", "1e-400", 1)} {
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
		data, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseQuantization(data, "config.json"); err != nil || !reflect.DeepEqual(again, q) {
			t.Fatalf("%s became %+v, %v", data, again, err)
		}
	})
}
