package specquant

import (
	"encoding/json"
	"path/filepath"

	"github.com/specquant/specquant/internal/input"
)

// RecommendedSampling is how the model's makers say that it should be sampled: the
// temperature and what goes with it of generation_config.json, where that has
// do_sample. Without it, or where its values make no sense, tokens are to be taken
// greedily and ok is false.
func (m *Model) RecommendedSampling() (o GenerateOptions, ok bool) {
	path := filepath.Join(m.dir, "generation_config.json")
	data, err := input.ReadFile(path, 1<<20)
	if err != nil {
		return o, false
	}
	var c struct {
		Sample            bool    `json:"do_sample"`
		Temperature       float64 `json:"temperature"`
		TopK              int     `json:"top_k"`
		TopP              float64 `json:"top_p"`
		MinP              float64 `json:"min_p"`
		RepetitionPenalty float64 `json:"repetition_penalty"`
	}
	c.Temperature, c.TopK = 1, 50 // transformers' own defaults
	if json.Unmarshal(data, &c) != nil || !c.Sample {
		return o, false
	}
	o = GenerateOptions{Temperature: c.Temperature, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, RepetitionPenalty: c.RepetitionPenalty}
	if o.Check() != nil {
		return GenerateOptions{}, false
	}
	return o, true
}
