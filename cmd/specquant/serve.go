package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/serve"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

type serveCmd struct {
	Dir     string `arg:"" name:"model" help:"Folder or name of a model." placeholder:"MODEL"`
	Host    string `help:"Address to listen on. Other machines reach the server only where this is not the loopback address." default:"127.0.0.1"`
	Port    int    `help:"Port to listen on. 0: any that is free." default:"8080"`
	Name    string `help:"What clients call the model. Default: MODEL, or the last part of its path."`
	Full    bool   `help:"Take the model as it was fetched, even if a quantized one is in the store."`
	Ctx     int    `help:"Context of a text in tokens. 0: the model's own, at most 8192." default:"0"`
	Slots   int    `help:"Texts that are generated at once." default:"8"`
	Keep    int    `help:"Conversations besides whose caches are kept for their next turn." default:"8"`
	Queue   int    `help:"Requests that may wait for a slot; more are refused with status 429." default:"64"`
	Threads int    `help:"Threads. 0: one for each CPU." default:"0"`

	PlainSampling bool `name:"plain-sampling" help:"What a request does not say is temperature 1 and nothing else. Default: as the model's generation_config.json recommends, where it does."`

	APIKeyFile  string        `name:"api-key-file" help:"File with a key a line: clients must show one of them, for everything but /health." placeholder:"FILE"`
	AllowHost   []string      `name:"allow-host" help:"A name by which clients may call the server, beside IP addresses and localhost. Repeatable." placeholder:"NAME"`
	CORSOrigin  []string      `name:"cors-origin" help:"Origin of web pages that may use the server, such as https://example.org. Repeatable." placeholder:"URL"`
	Connections int           `help:"Connections at once; more must wait." default:"128"`
	Timeout     time.Duration `help:"Longest time of a request." default:"10m"`
	Drain       time.Duration `help:"Time for answers under way when the server is told to end. A second signal cuts them off." default:"30s"`
	LogJSON     bool          `name:"log-json" help:"Log as JSON. Logs never hold prompts or answers."`
}

func (c *serveCmd) Run(e *env) error {
	switch {
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("--port: found %d, expected 0 to 65535", c.Port)
	case c.Ctx < 0:
		return fmt.Errorf("--ctx: found %d, expected a number of tokens, or 0 for the model's own context", c.Ctx)
	case c.Threads < 0:
		return fmt.Errorf("--threads: found %d, expected a number of threads, or 0 for one for each CPU", c.Threads)
	case c.Slots < 1:
		return fmt.Errorf("--slots: found %d, expected a number from 1", c.Slots)
	case c.Keep < 0 || c.Queue < 0:
		return fmt.Errorf("--keep %d, --queue %d: expected numbers from 0", c.Keep, c.Queue)
	case c.Connections < 1 || c.Timeout <= 0 || c.Drain <= 0:
		return fmt.Errorf("--connections %d, --timeout %s, --drain %s: expected numbers above 0", c.Connections, c.Timeout, c.Drain)
	}
	dir, err := (&chatCmd{Dir: c.Dir, Full: c.Full}).model(e)
	if err != nil {
		return err
	}
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
	o := serve.Options{Name: c.name(), Version: specquant.Version, Threads: c.Threads, Context: c.Ctx, Scheduler: scheduler.Options{Slots: c.Slots, Keep: noneIfZero(c.Keep), Queue: noneIfZero(c.Queue)}, PlainDefaults: c.PlainSampling,
		Hosts: append([]string{c.Host}, c.AllowHost...), Origins: c.CORSOrigin, KeyFile: c.APIKeyFile, Connections: c.Connections, Timeout: c.Timeout, Drain: c.Drain, Log: slog.New(handler)}
	s, err := serve.Open(dir, o)
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return err
	}
	ip := net.ParseIP(l.Addr().(*net.TCPAddr).IP.String())
	if !ip.IsLoopback() && c.APIKeyFile == "" {
		fmt.Fprintf(e.err, "warning: everybody who reaches %s may use this server; --api-key-file asks for keys\n", l.Addr())
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
	fmt.Fprintf(e.err, "serving %s on http://%s (caches take at most %s); Ctrl-C ends it\n", o.Name, l.Addr(), bytesText(s.CacheLimit()))
	return s.Serve(e.ctx, l, hurry)
}

// name is what clients call the model.
func (c *serveCmd) name() string {
	if c.Name != "" {
		return c.Name
	}
	if _, err := os.Stat(c.Dir); err == nil {
		if path, err := filepath.Abs(c.Dir); err == nil {
			return filepath.Base(path)
		}
	}
	return c.Dir
}
