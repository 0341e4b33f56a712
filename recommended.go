package specquant

import "github.com/specquant/specquant/internal/engine/sampler"

// RecommendedSampling returns the sampling options that the model's makers recommend in
// generation_config.json (temperature, top_k, top_p, min_p, repetition_penalty). ok is false if
// that file does not set do_sample: then generate greedily. It is an error if the file has
// an invalid value.
func (m *Model) RecommendedSampling() (o GenerateOptions, ok bool, err error) {
	r, ok, err := sampler.Recommended(m.dir)
	if !ok {
		return o, false, publicError(err)
	}
	return GenerateOptions{Temperature: r.Temperature, TopK: r.TopK, TopP: r.TopP, MinP: r.MinP, RepetitionPenalty: r.RepetitionPenalty}, true, nil
}
