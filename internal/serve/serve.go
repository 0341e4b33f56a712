// Package serve is the HTTP server for one or several models: access control (guard.go),
// loading and unloading of models (library.go), the APIs (package api), batching of requests
// (package scheduler), and the chat page (package page).
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/serve/api"
	"github.com/specquant/specquant/internal/serve/page"
	"github.com/specquant/specquant/internal/serve/scheduler"
	"golang.org/x/net/netutil"
)

// Options say how a model is served. Zero values have defaults.
type Options struct {
	Version   string // of the server, for clients
	Threads   int    // 0: one for each CPU
	Context   int    // tokens of a text, at most; 0: the model's own, at most 8192
	KV        int    // bits of the caches of models that have no quantized one of their own; 0: 16, as float32
	Scheduler scheduler.Options
	// MaxMemory is the most memory in bytes that loaded models may take together: weights
	// and the largest size of their KV caches. 0: no limit.
	MaxMemory int64
	// KeepAlive is how long an idle model stays loaded. 0: until another one needs its
	// memory.
	KeepAlive time.Duration
	// PlainDefaults ignores the model's generation_config.json: the defaults of requests
	// are then OpenAI's, temperature 1 without filters.
	PlainDefaults bool

	Hosts       []string         // names by which clients may call the server, beside IP addresses and localhost
	Origins     []string         // of pages that may use it
	TLS         *tls.Certificate // nil: plain HTTP
	KeyFile     string           // keys, one of which clients must show; "": none
	Connections int              // at once; 0: 128
	Timeout     time.Duration    // longest time of a request; 0: 10 minutes
	ReadTime    time.Duration    // for a client to send headers, and then a body; 0: 30 seconds
	WriteTime   time.Duration    // for a client to take a piece of an answer; 0: 30 seconds
	Drain       time.Duration    // for running requests to finish when the server is told to end; 0: 30 seconds
	Log         *slog.Logger     // nil: none
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

// Check returns an error that names the first invalid option.
func (o Options) Check() error {
	for name, d := range map[string]time.Duration{"timeout": o.Timeout, "read time": o.ReadTime, "write time": o.WriteTime, "drain": o.Drain, "keep-alive": o.KeepAlive} {
		if d < 0 || d > 24*time.Hour {
			return fmt.Errorf("%s: found %v, expected up to a day", name, d)
		}
	}
	if o.Connections < 0 || o.Connections > 1<<16 {
		return fmt.Errorf("connections: found %d, expected up to %d", o.Connections, 1<<16)
	}
	if o.MaxMemory < 0 {
		return fmt.Errorf("memory: found %s, expected 0 or more", plural.Of(o.MaxMemory, "byte"))
	}
	if err := checkOrigins(o.Origins); err != nil {
		return err
	}
	return o.Scheduler.Check()
}

// Server serves models.
type Server struct {
	options Options
	library *library
	handler http.Handler
}

// Open opens models to be served. All are checked; the first is loaded.
func Open(models []Source, o Options) (*Server, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if len(models) == 0 {
		return nil, errors.New("no model is given")
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
	l, err := newLibrary(o, models)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	api.NewFront(api.FrontOptions{Models: l, Metrics: l.metrics, Version: o.Version, Context: l.context, Timeout: o.Timeout, ReadTime: o.ReadTime, Log: o.Log}).Register(mux)
	page.Register(mux)
	g.next, g.observe = mux, l.metrics.Observe
	return &Server{options: o, library: l, handler: g}, nil
}

// Memory returns the most memory that loaded models can take, in bytes, and the part of it for
// KV caches. It is the sum over all models, limited by Options.MaxMemory.
func (s *Server) Memory() (all, caches int64) {
	for _, b := range s.library.books {
		all += b.charge
		caches += b.caches
	}
	if m := s.options.MaxMemory; m > 0 {
		all, caches = min(all, m), min(caches, m)
	}
	return all, caches
}

// stats are the figures of all models together.
func (s *Server) stats() scheduler.Stats {
	var all scheduler.Stats
	for _, m := range s.library.stats() {
		active, waiting := all.Active+m.Active, all.Waiting+m.Waiting
		all = sum(all, m.Stats)
		all.Active, all.Waiting = active, waiting
	}
	return all
}

// Serve answers requests on a listener until the context ends. Then new connections are
// refused, and running requests have Options.Drain to finish, unless hurry is closed before.
func (s *Server) Serve(ctx context.Context, l net.Listener, hurry <-chan struct{}) error {
	base, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	server := &http.Server{Handler: s.handler, ReadHeaderTimeout: s.options.ReadTime, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelWarn), BaseContext: func(net.Listener) context.Context { return base }}
	failed := make(chan error, 1)
	l = netutil.LimitListener(l, s.options.Connections)
	go func() {
		if s.options.TLS == nil {
			failed <- server.Serve(l)
			return
		}
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*s.options.TLS}}
		failed <- server.ServeTLS(l, "", "")
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.options.Log.Info("ending", "active", s.stats().Active, "waiting", s.stats().Waiting, "seconds_at_most", s.options.Drain.Seconds())
	drained := make(chan error, 1)
	go func() { drained <- server.Shutdown(context.Background()) }()
	select {
	case err := <-drained:
		return err
	case <-hurry:
	case <-time.After(s.options.Drain):
	}
	cancel(scheduler.ErrClosed) // cut off the remaining requests
	select {
	case err := <-drained:
		return err
	case <-time.After(time.Second):
		return server.Close()
	}
}

// Close closes the models. No request may be running.
func (s *Server) Close() { s.library.close() }
