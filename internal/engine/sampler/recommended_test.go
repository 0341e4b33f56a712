package sampler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecommended: what generation_config.json says is taken as transformers takes it,
// and what makes no sense is named.
func TestRecommended(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       Options
		ok         bool
		says       string // of the error; "": none
	}{
		{"no file", "", Options{}, false, ""},
		{"no sampling", `{"eos_token_id": 2, "temperature": 0.5}`, Options{}, false, ""},
		{"Qwen2.5", `{"do_sample": true, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05}`,
			Options{Temperature: 0.7, TopP: 0.8, TopK: 20, RepetitionPenalty: 1.05}, true, ""},
		{"transformers' defaults", `{"do_sample": true}`, Options{Temperature: 1, TopK: 50}, true, ""},
		{"min-p", `{"do_sample": true, "top_k": 0, "min_p": 0.1}`, Options{Temperature: 1, MinP: 0.1}, true, ""},
		{"negative", `{"do_sample": true, "temperature": -1}`, Options{}, false, "temperature -1"},
		{"no number", `{"do_sample": true, "top_p": "high"}`, Options{}, false, "top_p"},
		{"no JSON", `{`, Options{}, false, "generation_config.json"},
	} {
		dir := t.TempDir()
		if c.file != "" {
			if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(c.file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		o, ok, err := Recommended(dir)
		if ok != c.ok || o.Temperature != c.want.Temperature || o.TopK != c.want.TopK || o.TopP != c.want.TopP || o.MinP != c.want.MinP || o.RepetitionPenalty != c.want.RepetitionPenalty {
			t.Errorf("%s: %+v, %v; expected %+v, %v", c.name, o, ok, c.want, c.ok)
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, expected %q", c.name, err, c.says)
		}
	}
}
