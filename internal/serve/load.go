package serve

import (
	"errors"
	"fmt"
	"os"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/serve/api"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// loaded is a model in memory with its scheduler and API.
type loaded struct {
	model     *engine.Model
	scheduler *scheduler.Scheduler // nil: the model was only checked
	api       *api.API
}

// load opens a model's folder or file. With look it only checks the model and its size, and
// does not prepare the blocks.
func (l *library) load(s Source, look bool) (*loaded, error) {
	o := l.options
	m, err := engine.Open(s.Path, engine.Options{Pool: l.pool, Context: o.Context, KV: o.KV, Stream: look})
	if err != nil {
		return nil, err
	}
	out := &loaded{model: m}
	a, err := l.apiOptions(s, m)
	if err != nil {
		out.close()
		return nil, err
	}
	if look {
		out.api = api.New(a)
		return out, nil
	}
	out.scheduler = scheduler.New(m, o.Scheduler)
	a.Scheduler = out.scheduler
	out.api = api.New(a)
	so := out.scheduler.Options()
	o.Log.Info("model", "name", s.Name, "bits", m.Bits().String(), "context", m.Context, "slots", so.Slots, "kept", so.Keep, "queue", so.Queue,
		"cache_limit_bytes", scheduler.CacheLimit(m, o.Scheduler), "chat_template", a.Template != nil,
		"temperature", a.Defaults.Temperature, "top_p", a.Defaults.TopP, "top_k", a.Defaults.TopK, "repetition_penalty", a.Defaults.RepetitionPenalty)
	return out, nil
}

// apiOptions returns the options of a model's API, without the scheduler.
func (l *library) apiOptions(s Source, m *engine.Model) (a api.Options, err error) {
	tok, err := gguf.LoadTokenizer(m.Checkpoint)
	if err != nil {
		return a, err
	}
	if n := tok.VocabSize(); n > m.Config.VocabSize {
		return a, fmt.Errorf("%s: the tokenizer has %d tokens, config.json's vocab_size is %d; the files do not belong together", s.Path, n, m.Config.VocabSize)
	}
	template, err := gguf.LoadTemplate(m.Checkpoint)
	if err != nil && !errors.Is(err, chat.ErrNone) {
		return a, err
	}
	a = api.Options{Name: s.Name, Details: details(m), Tokenizer: tok, Ends: append(tok.EOS(), m.Config.EOS...), Context: m.Context, Vocab: tok.VocabSize(), Metrics: l.metrics, Bench: l.bench, Log: l.options.Log}
	if err == nil {
		a.Template = template
		if id, ok := template.EndOfTurn(tok); ok {
			a.TurnEnds = []int{id}
		}
	}
	a.Defaults, a.Recommended, err = samplingDefaults(m, l.options.PlainDefaults)
	return a, err
}

// details describes a model.
func details(m *engine.Model) api.Details {
	c, ck := m.Config, m.Checkpoint
	d := api.Details{Architecture: c.ModelType, Format: "safetensors", Bits: m.Bits().String(), Bytes: ck.Bytes(), Width: c.HiddenSize}
	if ck.GGUF != nil {
		d.Format = "gguf"
	}
	for _, t := range c.Expected() {
		n := int64(1)
		for _, k := range t.Shape {
			n *= int64(k)
		}
		d.Parameters += n
	}
	if files := ck.Files(); len(files) > 0 {
		if st, err := os.Stat(files[0]); err == nil {
			d.Modified = st.ModTime()
		}
	}
	return d
}

// samplingDefaults returns the sampling options for requests that do not set them: those that
// the model's makers recommend, otherwise OpenAI's. With aside, always OpenAI's.
func samplingDefaults(m *engine.Model, aside bool) (o sampler.Options, recommended bool, err error) {
	plain := sampler.Options{Temperature: 1, TopP: 1, RepetitionPenalty: 1}
	if aside || m.Checkpoint.GGUF != nil {
		return plain, false, nil
	}
	o, ok, err := sampler.Recommended(m.Checkpoint.Dir)
	switch {
	case err != nil:
		return o, false, fmt.Errorf("%w; --plain-sampling leaves the file aside", err)
	case !ok:
		return plain, false, nil
	}
	return o, true, nil
}

// close closes the model. No request may be running.
func (m *loaded) close() {
	if m.scheduler != nil {
		m.scheduler.Close()
	}
	m.model.Close()
}
