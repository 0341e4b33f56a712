package api

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strconv"

	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/plural"
)

// common are the fields that chats and completions share. Fields that are not set have the
// model's defaults (Options.Defaults), or OpenAI's.
type common struct {
	Model            string             `json:"model"`
	Stream           bool               `json:"stream"`
	StreamOptions    *streamOptions     `json:"stream_options"`
	N                *int               `json:"n"`
	MaxTokens        *int               `json:"max_tokens"`
	Stop             stopTexts          `json:"stop"`
	Seed             *int64             `json:"seed"`
	Temperature      *float64           `json:"temperature"`
	TopP             *float64           `json:"top_p"`
	PresencePenalty  *float64           `json:"presence_penalty"`
	FrequencyPenalty *float64           `json:"frequency_penalty"`
	LogitBias        map[string]float64 `json:"logit_bias"`

	// Not in OpenAI's API, but common in other servers.
	TopK              *int     `json:"top_k"`
	MinP              *float64 `json:"min_p"`
	RepetitionPenalty *float64 `json:"repetition_penalty"`

	// Accepted without effect: they identify the client, or concern features that this
	// server does not have.
	User     json.RawMessage `json:"user"`
	Metadata json.RawMessage `json:"metadata"`
}

type streamOptions struct {
	IncludeUsage       bool  `json:"include_usage"`
	IncludeObfuscation *bool `json:"include_obfuscation"` // without effect
}

// stopTexts is one text or a list of them.
type stopTexts []string

func (s *stopTexts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		if *s = nil; !bytes.Equal(data, []byte("null")) {
			*s = stopTexts{one}
		}
		return nil
	}
	var list []string
	if json.Unmarshal(data, &list) != nil {
		return invalid("stop", "expected a text or a list of texts")
	}
	*s = list
	return nil
}

// value returns *p, or otherwise if p is nil.
func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// check returns an error for the first field that is invalid or exceeds a limit.
func (c *common) check(vocab int) error {
	within := func(name string, p *float64, low, high float64) error {
		if p != nil && !(*p >= low && *p <= high) {
			return invalid(name, "found %v, expected %v to %v", *p, low, high)
		}
		return nil
	}
	count := func(name string, p *int, low, high int) error {
		if p != nil && (*p < low || *p > high) {
			return invalid(name, "found %d, expected %d to %d", *p, low, high)
		}
		return nil
	}
	for _, err := range []error{
		within("temperature", c.Temperature, 0, 2), within("top_p", c.TopP, 0, 1), within("min_p", c.MinP, 0, 1),
		within("presence_penalty", c.PresencePenalty, -2, 2), within("frequency_penalty", c.FrequencyPenalty, -2, 2),
		within("repetition_penalty", c.RepetitionPenalty, 0.1, 10),
		count("n", c.N, 1, MaxChoices), count("max_tokens", c.MaxTokens, 1, 1<<31-1), count("top_k", c.TopK, 0, vocab),
	} {
		if err != nil {
			return err
		}
	}
	if c.StreamOptions != nil && !c.Stream {
		return invalid("stream_options", "is allowed only with stream")
	}
	if len(c.Stop) > MaxStops {
		return invalid("stop", "found %s, expected at most %d", plural.Of(len(c.Stop), "text"), MaxStops)
	}
	if _, err := sampler.NewStops(c.Stop); err != nil {
		return invalid("stop", "%v", err)
	}
	if len(c.LogitBias) > MaxBias {
		return invalid("logit_bias", "found %s, expected at most %d", plural.Of(len(c.LogitBias), "token"), MaxBias)
	}
	for key, b := range c.LogitBias {
		if id, err := strconv.Atoi(key); err != nil || id < 0 || id >= vocab || !(b >= -100 && b <= 100) {
			return invalid("logit_bias", "found %.40q: %v, expected a token id below %d and -100 to 100", key, b, vocab)
		}
	}
	return nil
}

// sampling returns the sampling options of a request, with defaults for fields that are not
// set. Without a seed, a random one is used.
func (c *common) sampling(defaults sampler.Options) sampler.Options {
	d := defaults
	o := sampler.Options{Temperature: value(c.Temperature, d.Temperature), TopP: value(c.TopP, d.TopP), TopK: value(c.TopK, d.TopK), MinP: value(c.MinP, d.MinP),
		PresencePenalty: value(c.PresencePenalty, 0), FrequencyPenalty: value(c.FrequencyPenalty, 0), RepetitionPenalty: value(c.RepetitionPenalty, d.RepetitionPenalty), Seed: rand.Uint64()}
	if c.TopP != nil && *c.TopP == 0 { // 0 means "all" for the sampler
		o.TopK = 1
	}
	if c.Seed != nil {
		o.Seed = uint64(*c.Seed)
	}
	for key, b := range c.LogitBias {
		if o.LogitBias == nil {
			o.LogitBias = map[int]float64{}
		}
		id, _ := strconv.Atoi(key) // checked
		o.LogitBias[id] = b
	}
	return o
}
