package specquant

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/eval/tasks"
)

// A measurement that is infinite, or no number, is JSON all the same, and read back
// as it was.
func TestInfiniteJSON(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	bad := Estimate{inf, nan}
	for name, v := range map[string]any{
		"perplexity": &PerplexityReport{Perplexity: bad, PerByte: &bad, BitsPerByte: &bad},
		"divergence": &DivergenceReport{Divergence: Divergence{PerplexityRef: bad, Perplexity: bad, Change: Estimate{nan, nan}, NLLChange: bad, KL: bad, KLBack: bad, Top1: bad, Top5: bad,
			KLMax: inf, KLPercentiles: []Percentile{{0.5, inf}}}, Worst: []WorstToken{{KL: inf, NLL: inf, NLLRef: nan, Token: "x"}}},
		"diff":    &DiffReport{Blocks: []BlockError{{Stream: Deviation{inf, nan, -inf}, Own: Deviation{nan, nan, nan}}}},
		"tasks":   &TaskReport{Average: bad, Tasks: []TaskResult{{Score: bad, Acc: bad, AccNorm: &bad, Perplexity: &bad}}},
		"compare": &Table{Rows: []Row{{Perplexity: bad, KL: bad, Top1: bad}}},
		"check":   &Report{Check: &Check{PerplexityRef: inf, Perplexity: nan, KL: inf, Top1: nan, KLFitted: inf, KLErr: inf, KLFittedErr: nan}},
		"log":     tasks.Sample{Choices: []tasks.Scored{{LogProb: -inf}}},
	} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(string(data), `Infinity"`) {
			t.Errorf("%s: no infinity in %s", name, data)
		}
		var any map[string]any
		if err := json.Unmarshal(data, &any); err != nil {
			t.Errorf("%s: %v in %s", name, err, data)
		}
	}
	data, err := json.Marshal([]any{bad, Check{Perplexity: inf, Tokens: 3, Passed: true}, WorstToken{KL: 2, Token: "t", Window: 7}})
	if want := `[{"mean":"Infinity","std_err":null},`; err != nil || !strings.HasPrefix(string(data), want) || !strings.Contains(string(data), `"token":"t"`) || !strings.Contains(string(data), `"kl":2`) {
		t.Errorf("%s, %v; want %s…", data, err, want)
	}
	var e Estimate
	if err := json.Unmarshal([]byte(`{"mean":"Infinity","std_err":null}`), &e); err != nil || !math.IsInf(e.Mean, 1) || !math.IsNaN(e.StdErr) {
		t.Errorf("%v, %v", e, err)
	}
	c := Check{HeldOut: true, Tokens: 3, PerplexityRef: 2, Perplexity: inf, KL: 1, Top1: 0.5, Passed: true, KLFitted: 4, KLErr: 0.5, KLFittedErr: 0.25}
	data, _ = json.Marshal(c)
	var back Check
	if err := json.Unmarshal(data, &back); err != nil || back != c {
		t.Errorf("%+v, %v, want %+v", back, err, c)
	}
}
