// Package serve is the HTTP server of one model: who may ask (guard.go), what is
// answered (api), what is computed together (scheduler), and a page to chat on (page).
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/serve/api"
	"github.com/specquant/specquant/internal/serve/page"
	"github.com/specquant/specquant/internal/serve/scheduler"
	"golang.org/x/net/netutil"
)

// Options say how a model is served. Zero values have defaults.
type Options struct {
	Name      string // of the model, as clients call it
	Version   string // of the server, as clients that ask are told
	Threads   int    // 0: one for each CPU
	Context   int    // tokens of a text, at most; 0: the model's own, at most 8192
	Scheduler scheduler.Options
	// PlainDefaults leaves the model's generation_config.json aside: what a request does
	// not say is then temperature 1 and nothing else, as of OpenAI.
	PlainDefaults bool

	Hosts       []string      // names by which clients may call the server, beside IP addresses and localhost
	Origins     []string      // of pages that may use it
	KeyFile     string        // keys, one of which clients must show; "": none
	Connections int           // at once; 0: 128
	Timeout     time.Duration // of a request; 0: 10 minutes
	ReadTime    time.Duration // for a client to send headers, and then a body; 0: 30 seconds
	WriteTime   time.Duration // for a client to take a piece of an answer; 0: 30 seconds
	Drain       time.Duration // for answers under way when the server is told to end; 0: 30 seconds
	Log         *slog.Logger  // nil: none
}

func (o *Options) defaults() {
	set := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.Timeout, 10*time.Minute)
	set(&o.ReadTime, 30*time.Second)
	set(&o.WriteTime, 30*time.Second)
	set(&o.Drain, 30*time.Second)
	if o.Connections == 0 {
		o.Connections = 128
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Check says which option makes no sense.
func (o Options) Check() error {
	for name, d := range map[string]time.Duration{"timeout": o.Timeout, "read time": o.ReadTime, "write time": o.WriteTime, "drain": o.Drain} {
		if d < 0 || d > 24*time.Hour {
			return fmt.Errorf("%s: found %v, expected up to a day", name, d)
		}
	}
	if o.Connections < 0 || o.Connections > 1<<16 {
		return fmt.Errorf("connections: found %d, expected up to %d", o.Connections, 1<<16)
	}
	if err := checkOrigins(o.Origins); err != nil {
		return err
	}
	return o.Scheduler.Check()
}

// Server serves a model.
type Server struct {
	options   Options
	pool      *kernel.Pool
	model     *engine.Model
	scheduler *scheduler.Scheduler
	handler   http.Handler
}

// Open opens a model's folder or file to be served.
func Open(dir string, o Options) (*Server, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	o.defaults()
	g := &guard{origins: o.Origins, log: o.Log, write: o.WriteTime, cross: http.NewCrossOriginProtection()}
	for _, h := range o.Hosts {
		g.hosts = append(g.hosts, strings.ToLower(h))
	}
	for _, origin := range o.Origins {
		if err := g.cross.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("--cors-origin: %w", err)
		}
	}
	if o.KeyFile != "" {
		var err error
		if g.keys, err = readKeys(o.KeyFile); err != nil {
			return nil, err
		}
	}
	s := &Server{options: o, pool: kernel.NewPool(o.Threads)}
	a, err := s.open(dir)
	if err != nil {
		s.Close()
		return nil, err
	}
	mux := http.NewServeMux()
	a.Register(mux)
	page.Register(mux)
	g.next, g.observe = mux, a.Observe
	s.handler = g
	return s, nil
}

// open opens the model and what answers for it.
func (s *Server) open(dir string) (*api.API, error) {
	o := s.options
	m, err := engine.Open(dir, engine.Options{Pool: s.pool, Context: o.Context})
	if err != nil {
		return nil, err
	}
	s.model = m
	tok, err := gguf.LoadTokenizer(m.Checkpoint)
	if err != nil {
		return nil, err
	}
	if n := tok.VocabSize(); n > m.Config.VocabSize {
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, config.json's vocab_size is %d; the files do not belong together", dir, n, m.Config.VocabSize)
	}
	template, err := gguf.LoadTemplate(m.Checkpoint)
	if err != nil && !errors.Is(err, chat.ErrNone) {
		return nil, err
	}
	a := api.Options{Name: o.Name, Details: details(m), Version: o.Version, Tokenizer: tok, Ends: append(tok.EOS(), m.Config.EOS...), Context: m.Context, Vocab: tok.VocabSize(),
		Timeout: o.Timeout, ReadTime: o.ReadTime, Log: o.Log}
	if err == nil {
		a.Template = template
		if id, ok := template.EndOfTurn(tok); ok {
			a.TurnEnds = []int{id}
		}
	}
	if a.Defaults, err = s.samplingDefaults(); err != nil {
		return nil, err
	}
	s.scheduler = scheduler.New(m, o.Scheduler)
	a.Scheduler = s.scheduler
	so := s.scheduler.Options()
	o.Log.Info("model", "name", o.Name, "bits", m.Bits().String(), "context", m.Context, "slots", so.Slots, "kept", so.Keep, "queue", so.Queue,
		"cache_limit_bytes", s.scheduler.CacheLimit(), "chat_template", a.Template != nil,
		"temperature", a.Defaults.Temperature, "top_p", a.Defaults.TopP, "top_k", a.Defaults.TopK, "repetition_penalty", a.Defaults.RepetitionPenalty)
	return api.New(a), nil
}

// details say what a model is.
func details(m *engine.Model) api.Details {
	c, ck := m.Config, m.Checkpoint
	d := api.Details{Architecture: c.ModelType, Format: "safetensors", Bits: m.Bits().String(), Bytes: ck.Bytes(), Width: c.HiddenSize, Parameters: m.Footprint().Products + int64(c.VocabSize)*int64(c.HiddenSize)}
	if !c.TieEmbeddings {
		d.Parameters += int64(c.VocabSize) * int64(c.HiddenSize)
	}
	if ck.GGUF != nil {
		d.Format = "gguf"
	}
	if files := ck.Files(); len(files) > 0 {
		if st, err := os.Stat(files[0]); err == nil {
			d.Modified = st.ModTime()
		}
	}
	return d
}

// samplingDefaults are those of requests that say nothing: what the model's makers
// recommend, else OpenAI's.
func (s *Server) samplingDefaults() (sampler.Options, error) {
	plain := sampler.Options{Temperature: 1, TopP: 1, RepetitionPenalty: 1}
	if s.options.PlainDefaults || s.model.Checkpoint.GGUF != nil {
		return plain, nil
	}
	o, ok, err := sampler.Recommended(s.model.Checkpoint.Dir)
	switch {
	case err != nil:
		return o, fmt.Errorf("%w; --plain-sampling leaves the file aside", err)
	case !ok:
		return plain, nil
	}
	return o, nil
}

// CacheLimit is the most memory that the caches of all texts may take, in bytes.
func (s *Server) CacheLimit() int64 { return s.scheduler.CacheLimit() }

// Serve answers on a listener until the context ends. Answers under way then have
// Options.Drain to come to their end, unless hurry is closed before; new connections are
// refused.
func (s *Server) Serve(ctx context.Context, l net.Listener, hurry <-chan struct{}) error {
	base, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: s.options.ReadTime, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelWarn), BaseContext: func(net.Listener) context.Context { return base }}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(netutil.LimitListener(l, s.options.Connections)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.options.Log.Info("ending", "active", s.scheduler.Stats().Active, "waiting", s.scheduler.Stats().Waiting, "seconds_at_most", s.options.Drain.Seconds())
	drained := make(chan error, 1)
	go func() { drained <- server.Shutdown(context.Background()) }()
	select {
	case err := <-drained:
		return err
	case <-hurry:
	case <-time.After(s.options.Drain):
	}
	cancel(scheduler.ErrClosed) // what is left is cut off
	select {
	case err := <-drained:
		return err
	case <-time.After(time.Second):
		return server.Close()
	}
}

// Close lets go of the model. Nothing may be under way.
func (s *Server) Close() {
	if s.scheduler != nil {
		s.scheduler.Close()
	}
	s.pool.Close()
	if s.model != nil {
		s.model.Close()
	}
}
