package testdata

import (
	"encoding/json"
	"os"
	"testing"
)

// Golden is what golden_f64.json holds: results of an independent float64
// implementation.
type Golden struct {
	PromptIDs   []int        `json:"prompt_ids"`
	GreedyIDs   []int        `json:"greedy_ids"` // prompt included
	Top5        [][2]float64 `json:"last_logits_top5"`
	First8      []float64    `json:"last_logits_first8"`
	PromptLast  []float64    `json:"prompt_last_logits"`
	TextIDs     []int        `json:"text_ids"`
	TextNLLMean float64      `json:"text_nll_mean"`
	TextNLL4    []float64    `json:"text_nll_first4"`
	WindowNLL   []float64    `json:"window_nll"`
	Perplexity  float64      `json:"perplexity"`
}

// ReadGolden reads a golden file.
func ReadGolden(t testing.TB, path string) Golden {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g Golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}
