package serve

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSamplingDefaults: what a request does not say is as generation_config.json of the
// model recommends, unless the server was told to leave that aside. With top-k 1 every
// answer is the likeliest; without it, answers of different seeds differ.
func TestSamplingDefaults(t *testing.T) {
	for _, c := range []struct {
		name, file, fields string
		plain, greedy      bool
	}{
		{"recommended", `{"do_sample": true, "top_k": 1}`, "", false, true},
		{"the request says otherwise", `{"do_sample": true, "top_k": 1}`, `,"top_k":0`, false, false},
		{"left aside", `{"do_sample": true, "top_k": 1}`, "", true, false},
		{"no do_sample", `{"top_k": 1}`, "", false, false},
		{"none", "", "", false, false},
		{"temperature 0", `{"do_sample": true, "temperature": 0}`, "", false, true},
	} {
		dir := modelDir(t)
		if c.file != "" {
			if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(c.file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, url, _ := serverOf(t, []Source{{Name: "test", Path: dir}}, Options{PlainDefaults: c.plain})
		answers := map[string]bool{}
		for seed := range 3 {
			status, _, body := call(t, "POST", url+"/v1/completions", `{"prompt":"a","max_tokens":12,"logit_bias":{"258":-100},"seed":`+string(rune('0'+seed))+c.fields+`}`)
			var a struct{ Choices []struct{ Text string } }
			if status != 200 || json.Unmarshal([]byte(body), &a) != nil {
				t.Fatal(status, body)
			}
			answers[a.Choices[0].Text] = true
		}
		_, _, list := call(t, "GET", url+"/v1/models", "")
		if recommended := strings.Contains(c.file, "do_sample") && !c.plain; strings.Contains(list, `"recommended":true`) != recommended {
			t.Errorf("%s: %s, expected that recommended is %v", c.name, list, recommended)
		}
		if (len(answers) == 1) != c.greedy {
			t.Errorf("%s: %d different answers of 3 seeds, expected one: %v", c.name, len(answers), c.greedy)
		}
	}
	dir := modelDir(t)
	if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(`{"do_sample": true, "top_p": 7}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open([]Source{{Name: "test", Path: dir}}, Options{Threads: 1}); err == nil || !strings.Contains(err.Error(), "top-p 7") {
		t.Errorf("a top-p of 7: error %v", err)
	}
}
