package serve

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/serve/api"
	"github.com/specquant/specquant/internal/serve/scheduler"
	"github.com/specquant/specquant/internal/speculate"
	"github.com/specquant/specquant/internal/tokenizer"
)

// loaded is a model in memory with its scheduler and API.
type loaded struct {
	model     *engine.Model
	draft     *engine.Model        // guesses for it; nil: there is none
	scheduler *scheduler.Scheduler // nil: the model was only checked
	api       *api.API
}

// load opens a model's folder or file. With look it only checks the model and its size, and
// does not prepare the blocks.
func (l *library) load(s Source, look bool) (*loaded, error) {
	o := l.options
	ck, err := checkpoint.Open(s.Path)
	if err != nil {
		return nil, err
	}
	reading := make(chan *texts, 1)
	go func() { // takes about as long as the rest
		defer func() {
			if p := recover(); p != nil {
				reading <- &texts{err: fmt.Errorf("internal error: %v\n%s", p, debug.Stack())}
			}
		}()
		reading <- readTexts(ck)
	}()
	how := engine.Options{Pool: l.pool, Context: o.Context, KV: o.KV, Stream: look}
	m, err := engine.New(ck, how)
	read := <-reading
	if err != nil {
		ck.Close()
		return nil, err
	}
	out := &loaded{model: m}
	a, err := l.apiOptions(s, m, read)
	if err != nil {
		out.close()
		return nil, err
	}
	if s.Draft != "" {
		if out.draft, err = speculate.OpenDraft(s.Draft, how, m, read.tokenizer); err != nil {
			out.close()
			return nil, err
		}
	}
	if look {
		out.api = api.New(a)
		return out, nil
	}
	out.scheduler = scheduler.New(m, l.scheduling(out))
	a.Scheduler = out.scheduler
	out.api = api.New(a)
	so := out.scheduler.Options()
	o.Log.Info("model", "name", s.Name, "bits", m.Bits().String(), "context", m.Context, "slots", so.Slots, "kept", so.Keep, "queue", so.Queue,
		"cache_limit_bytes", scheduler.CacheLimit(m, so), "draft", s.Draft, "chat_template", a.Template != nil,
		"temperature", a.Defaults.Temperature, "top_p", a.Defaults.TopP, "top_k", a.Defaults.TopK, "repetition_penalty", a.Defaults.RepetitionPenalty)
	return out, nil
}

// scheduling returns the options of a model's scheduler.
func (l *library) scheduling(m *loaded) scheduler.Options {
	o := l.options.Scheduler
	o.Draft = m.draft
	o.Failed = func(err error) {
		l.options.Log.Warn("speculation goes on without a draft model", "name", m.api.Name, "error", err)
	}
	return o
}

// texts are what a model has for texts and conversations.
type texts struct {
	tokenizer *tokenizer.Tokenizer
	template  *chat.Template // nil: none
	err       error
}

func readTexts(ck *checkpoint.Checkpoint) *texts {
	out := &texts{}
	if out.tokenizer, out.err = gguf.LoadTokenizer(ck); out.err != nil {
		return out
	}
	if out.template, out.err = gguf.LoadTemplate(ck); errors.Is(out.err, chat.ErrNone) {
		out.err = nil
	}
	return out
}

// apiOptions returns the options of a model's API, without the scheduler.
func (l *library) apiOptions(s Source, m *engine.Model, read *texts) (a api.Options, err error) {
	if read.err != nil {
		return a, read.err
	}
	tok := read.tokenizer
	if n := tok.VocabSize(); n > m.Config.VocabSize {
		return a, fmt.Errorf("%s: the tokenizer has %s, config.json's vocab_size is %d; the files do not belong together", s.Path, plural.Of(n, "token"), m.Config.VocabSize)
	}
	a = api.Options{Name: s.Name, Details: details(m), Tokenizer: tok, Ends: append(tok.EOS(), m.Config.EOS...), Context: m.Context, Vocab: tok.VocabSize(), Metrics: l.metrics, Bench: l.bench, Log: l.options.Log}
	if read.template != nil {
		a.Template = read.template
		if id, ok := a.Template.EndOfTurn(tok); ok {
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
		if st, err := input.Stat(files[0]); err == nil {
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
	if m.draft != nil {
		m.draft.Close()
	}
	m.model.Close()
}
