package sampler

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/specquant/specquant/internal/input"
)

// maxConfig bounds generation_config.json, in bytes.
const maxConfig = 1 << 20

// Recommended returns the sampling options that a model's makers recommend: temperature, top-k,
// top-p, min-p and repetition penalty of generation_config.json in the model's folder, as
// transformers reads them. ok is false if there is no such file or it does not set do_sample.
// It is an error if the file can't be read or a value is invalid.
func Recommended(dir string) (o Options, ok bool, err error) {
	path := filepath.Join(dir, "generation_config.json")
	data, err := input.ReadFile(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return Options{}, false, nil
	}
	if err != nil {
		return Options{}, false, err
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
	if err := input.JSON(data, &c); err != nil {
		return Options{}, false, fmt.Errorf("%s: %w", path, err)
	}
	if !c.Sample {
		return Options{}, false, nil
	}
	o = Options{Temperature: c.Temperature, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, RepetitionPenalty: c.RepetitionPenalty}
	if err := o.Check(); err != nil {
		return Options{}, false, fmt.Errorf("%s: %w", path, err)
	}
	return o, true, nil
}
