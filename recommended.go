package specquant

import "github.com/specquant/specquant/internal/engine/sampler"

// RecommendedSampling returns the sampling options that the model's makers recommend in
// generation_config.json (temperature, top_k, top_p, min_p, repetition_penalty). ok is false if
// that file does not set do_sample or has invalid values: then generate greedily.
func (m *Model) RecommendedSampling() (o GenerateOptions, ok bool) {
	r, ok, _ := sampler.Recommended(m.dir)
	if !ok {
		return o, false
	}
	o = GenerateOptions{Temperature: r.Temperature, TopK: r.TopK, TopP: r.TopP, MinP: r.MinP, RepetitionPenalty: r.RepetitionPenalty}
	return o, o.Check() == nil
}
