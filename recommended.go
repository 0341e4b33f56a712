package specquant

import "github.com/specquant/specquant/internal/engine/sampler"

// RecommendedSampling is how the model's makers say that it should be sampled: the
// temperature and what goes with it of generation_config.json, where that has
// do_sample. Without it, or where its values make no sense, tokens are to be taken
// greedily and ok is false.
func (m *Model) RecommendedSampling() (o GenerateOptions, ok bool) {
	r, ok, _ := sampler.Recommended(m.dir)
	if !ok {
		return o, false
	}
	o = GenerateOptions{Temperature: r.Temperature, TopK: r.TopK, TopP: r.TopP, MinP: r.MinP, RepetitionPenalty: r.RepetitionPenalty}
	return o, o.Check() == nil
}
