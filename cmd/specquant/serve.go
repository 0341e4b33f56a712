package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/serve"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

type serveCmd struct {
	Models  []string `arg:"" name:"model" help:"Folder or name of a model, or NAME=MODEL to choose the name that clients use. The first is loaded at once, others when a request needs them." placeholder:"MODEL"`
	Host    string   `help:"Address to listen on. With the default only this machine can reach the server." default:"127.0.0.1"`
	Port    int      `help:"Port to listen on. 0: any that is free." default:"8080"`
	Name    string   `help:"What clients call the first model. Default: MODEL, or the last part of its path."`
	Full    bool     `help:"Take the model as it was fetched, even if a quantized one is in the store."`
	Ctx     int      `help:"Context of a text in tokens. 0: the model's own, at most 8192." default:"0"`
	KVBits  int      `name:"kv-bits" help:"Bits of the caches of models that say nothing of them, such as GGUF files: 4, 8, or 16, which are float32. Models quantized here have their own." default:"16"`
	Slots   int      `help:"Texts that are generated at once." default:"8"`
	Keep    int      `help:"Ended conversations whose caches are kept for their next turn, beyond one for each slot." default:"8"`
	Queue   int      `help:"Requests that may wait for a slot; more are refused with status 429." default:"64"`
	Threads int      `help:"Threads. 0: one for each CPU." default:"0"`

	NoSpeculation bool   `name:"no-speculation" help:"Compute each token by itself. Default: tokens that the text itself suggests are computed with the one before them where that is faster; answers are the same."`
	Draft         string `help:"Folder or name of a smaller model with the same vocabulary that guesses what the first MODEL goes on with, where that is faster; answers are the same." placeholder:"SMALL"`

	MaxMemory size          `name:"max-memory" help:"Most memory that loaded models may take together, such as 8GB: files, and all that their caches can grow to. Idle ones give way to those that are asked for. 0: no limit." default:"0" placeholder:"SIZE"`
	KeepAlive time.Duration `name:"keep-alive" help:"Unload a model that nobody asks for so long. 0: not until another one needs its memory." default:"0"`

	PlainSampling bool `name:"plain-sampling" help:"Sample with temperature 1 and no filters unless a request says otherwise. Without this flag, the model's generation_config.json gives the defaults."`

	Socket  string `help:"Listen on this Unix socket, open to this user only, instead of an address." placeholder:"PATH"`
	TLSCert string `name:"tls-cert" help:"Certificate to answer HTTPS with, in PEM." placeholder:"FILE"`
	TLSKey  string `name:"tls-key" help:"Its private key, in PEM." placeholder:"FILE"`

	APIKeyFile  *string       `name:"api-key-file" help:"File with one key per line: clients must send one of them, except for /health." placeholder:"FILE"`
	AllowHost   []string      `name:"allow-host" help:"Host name under which clients may reach the server, in addition to IP addresses and localhost. Repeatable." placeholder:"NAME"`
	CORSOrigin  []string      `name:"cors-origin" help:"Origin of web pages that may use the server, such as https://example.org. Repeatable." placeholder:"URL"`
	Connections int           `help:"Connections at once; more must wait." default:"128"`
	Timeout     time.Duration `help:"Longest time of a request." default:"10m"`
	Drain       time.Duration `help:"Time to finish running requests when the server is told to end. A second signal ends it at once." default:"30s"`
	LogJSON     bool          `name:"log-json" help:"Log as JSON. Logs never hold prompts or answers."`
}

// The address unless one is given.
const (
	defaultHost = "127.0.0.1"
	defaultPort = 8080
)

// check says which flag makes no sense.
func (c *serveCmd) check() error {
	switch {
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("--port: found %d, expected 0 to 65535", c.Port)
	case c.Ctx < 0:
		return fmt.Errorf("--ctx: found %d, expected a number of tokens, or 0 for the model's own context", c.Ctx)
	case c.KVBits != 0 && c.KVBits != 4 && c.KVBits != 8 && c.KVBits != 16:
		return fmt.Errorf("--kv-bits: found %d, expected 4, 8 or 16", c.KVBits)
	case c.Threads < 0:
		return fmt.Errorf("--threads: found %d, expected a number of threads, or 0 for one for each CPU", c.Threads)
	case c.Slots < 1:
		return fmt.Errorf("--slots: found %d, expected a number from 1", c.Slots)
	case c.Keep < 0 || c.Queue < 0:
		return fmt.Errorf("--keep %d, --queue %d: expected numbers from 0", c.Keep, c.Queue)
	case c.Connections < 1 || c.Timeout <= 0 || c.Drain <= 0:
		return fmt.Errorf("--connections %d, --timeout %s, --drain %s: expected numbers above 0", c.Connections, c.Timeout, c.Drain)
	case strings.ContainsFunc(c.Name, unicode.IsControl):
		return fmt.Errorf("--name: found %q, expected a name without line ends and other control characters", c.Name)
	case c.Socket != "" && (c.Host != defaultHost || c.Port != defaultPort):
		return errors.New("--socket: takes the place of an address; leave --host and --port out")
	case c.KeepAlive < 0:
		return fmt.Errorf("--keep-alive: found %s, expected a time, or 0", c.KeepAlive)
	case slices.ContainsFunc(c.AllowHost, notHost):
		return fmt.Errorf("--allow-host: found %q, expected names of this machine, such as box.example.org", c.AllowHost)
	case c.APIKeyFile != nil && *c.APIKeyFile == "":
		return errors.New("--api-key-file: the file's name is empty; without the flag clients need no key")
	case c.Draft != "" && c.NoSpeculation:
		return errors.New("--draft and --no-speculation: a draft model is for speculation; leave one of them out")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key go together: one of them is missing")
	case c.Socket != "" && c.TLSCert != "":
		return errors.New("--socket and --tls-cert: data on a Unix socket does not leave the machine; leave one of them out")
	}
	return nil
}

// notHost reports whether a text can't be the name of a host.
func notHost(name string) bool { return strings.ContainsAny(name, " /\\@\t\n") }

// keyFile is the path of the file with keys; "": clients need none.
func (c *serveCmd) keyFile() string {
	if c.APIKeyFile == nil {
		return ""
	}
	return *c.APIKeyFile
}

// options converts the flags to the server's options.
func (c *serveCmd) options(e *env) (o serve.Options, err error) {
	var handler slog.Handler = slog.NewTextHandler(e.err, nil)
	if c.LogJSON {
		handler = slog.NewJSONHandler(e.err, nil)
	}
	noneIfZero := func(n int) int {
		if n == 0 {
			return -1
		}
		return n
	}
	o = serve.Options{Version: specquant.Version, Threads: c.Threads, Context: c.Ctx, KV: c.KVBits, Scheduler: scheduler.Options{Slots: c.Slots, Keep: noneIfZero(c.Keep), Queue: noneIfZero(c.Queue), NoGuesses: c.NoSpeculation}, PlainDefaults: c.PlainSampling,
		MaxMemory: int64(c.MaxMemory), KeepAlive: c.KeepAlive, Hosts: append([]string{c.Host}, c.AllowHost...), Origins: c.CORSOrigin, KeyFile: c.keyFile(), Connections: c.Connections, Timeout: c.Timeout, Drain: c.Drain, Log: slog.New(handler)}
	if c.TLSCert != "" {
		o.TLS, err = serve.Certificate(c.TLSCert, c.TLSKey)
	}
	return o, err
}

func (c *serveCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	models, err := c.sources(e)
	if err != nil {
		return err
	}
	o, err := c.options(e)
	if err != nil {
		return err
	}
	smallHeap(pipeline.ServeHeapPercent)
	s, err := serve.Open(models, o)
	if err != nil {
		return err
	}
	defer s.Close()
	l, url, err := c.listen(e)
	if err != nil {
		return err
	}
	e.drains.Store(true)
	hurry := make(chan struct{})
	go func() {
		<-e.ctx.Done()
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		<-again
		close(hurry)
	}()
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = m.Name
	}
	all, caches := s.Memory()
	fmt.Fprintf(e.err, "serving %s on %s (at most %s, of which caches %s); Ctrl-C ends it\n", strings.Join(names, ", "), url, bytesText(all), bytesText(caches))
	return s.Serve(e.ctx, l, hurry)
}

// listen opens the listener that the flags describe, and warns if other machines can use the
// server without a key. url is the address for a browser.
func (c *serveCmd) listen(e *env) (l net.Listener, url string, err error) {
	if c.Socket != "" {
		l, err = serve.ListenSocket(c.Socket)
		return l, "unix:" + c.Socket, err
	}
	l, err = net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return nil, "", fmt.Errorf("--host %s, --port %d: %w", c.Host, c.Port, err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() && c.APIKeyFile == nil {
		fmt.Fprintf(e.err, "warning: everybody who reaches %s may use this server; --api-key-file asks for keys\n", l.Addr())
	}
	scheme := "http://"
	if c.TLSCert != "" {
		scheme = "https://"
	}
	return l, scheme + l.Addr().String(), nil
}

// sources returns the models of the command line.
func (c *serveCmd) sources(e *env) ([]serve.Source, error) {
	var out []serve.Source
	for i, arg := range c.Models {
		name, model := "", arg
		if before, after, ok := strings.Cut(arg, "="); ok {
			if _, err := input.Stat(arg); err != nil { // otherwise it is a path that contains "="
				name, model = before, after
			}
		}
		if i == 0 && c.Name != "" {
			name = c.Name
		}
		if name == "" {
			name = nameOf(model)
		}
		path, err := modelToRun(e, model, c.Full)
		if err != nil {
			return nil, err
		}
		out = append(out, serve.Source{Name: name, Path: path})
	}
	draft, err := draftModel(e, c.Draft, c.Full)
	if err != nil {
		return nil, err
	}
	out[0].Draft = draft
	return out, nil
}

// nameOf is the default name of a model for clients.
func nameOf(model string) string {
	if _, err := input.Stat(model); err == nil {
		if path, err := filepath.Abs(model); err == nil {
			return filepath.Base(path)
		}
	}
	return model
}
