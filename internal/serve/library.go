package serve

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/serve/api"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// Source is a model that may be served.
type Source struct {
	Name string // as clients call it
	Path string // folder or file
}

// library holds the models of a server. They are loaded when they are asked for, and
// unloaded when nobody has asked for a while or another one needs their memory. One is
// loaded or unloaded at a time; those that are loaded go on meanwhile.
type library struct {
	options Options
	pool    *kernel.Pool
	metrics *api.Metrics
	bench   api.Bench
	books   []*book
	context int // tokens of the largest

	mu       sync.Mutex    // guards what follows, and what changes in the books
	changing chan struct{} // closed when the loading or unloading under way has ended; nil: there is none
	closed   bool
}

// book is one of the models.
type book struct {
	Source
	info   api.Info
	caches int64 // memory that the caches of its texts may take, in bytes
	charge int64 // memory that it may take in all: its files' size, the caches, and the constraints of answers

	// Guarded by the library's lock.
	loaded *loaded         // nil: not
	users  int             // requests that it answers
	idle   time.Time       // when the last of them ended
	before scheduler.Stats // of the times when it was loaded before
}

// newLibrary checks all models and loads the first.
func newLibrary(o Options, sources []Source) (*library, error) {
	l := &library{options: o, pool: kernel.NewPool(o.Threads), bench: api.NewBench()}
	l.metrics = api.NewMetrics(l.stats)
	for i, s := range sources {
		for _, other := range sources[:i] {
			if other.Name == s.Name {
				l.close()
				return nil, fmt.Errorf("%s and %s would both be called %s; give them names: NAME=MODEL", other.Path, s.Path, s.Name)
			}
		}
		if err := l.add(s, i == 0); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

// add takes a model in, loaded or only looked at.
func (l *library) add(s Source, stay bool) error {
	m, err := l.load(s, !stay)
	if err != nil {
		return err
	}
	d := m.api.Details
	b := &book{Source: s, info: api.Info{Name: s.Name, Context: m.model.Context, Details: d, Defaults: m.api.Defaults, Recommended: m.api.Recommended}, caches: scheduler.CacheLimit(m.model, l.options.Scheduler), idle: time.Now()}
	b.charge = d.Bytes + b.caches + api.ConstraintBytes(m.api.Vocab, l.options.Scheduler.Texts())
	l.books, l.context = append(l.books, b), max(l.context, m.model.Context)
	if stay {
		b.loaded = m
	} else {
		m.close()
	}
	if limit := l.options.MaxMemory; limit > 0 && b.charge > limit {
		return &MemoryError{Name: s.Name, Bytes: b.charge, Caches: b.caches, Limit: limit}
	}
	return nil
}

// MemoryError says that a model can't be served within a limit.
type MemoryError struct {
	Name                 string
	Bytes, Caches, Limit int64 // what it may take, of which its caches, and the limit
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("%s may take %d bytes of memory, of which %d for the caches of its texts, and --max-memory is %d; try fewer --slots, a smaller --keep or --ctx", e.Name, e.Bytes, e.Caches, e.Limit)
}

// find gives the book of a name; "": the first.
func (l *library) find(name string) (*book, error) {
	if name == "" {
		return l.books[0], nil
	}
	var known []string
	for _, b := range l.books {
		if b.Name == name {
			return b, nil
		}
		known = append(known, b.Name)
	}
	return nil, api.UnknownModel(name, known)
}

// List is part of [api.Models].
func (l *library) List() []api.Info {
	var out []api.Info
	for _, b := range l.books {
		out = append(out, b.info)
	}
	return out
}

// Acquire is part of [api.Models].
func (l *library) Acquire(ctx context.Context, name string) (*api.API, func(), error) {
	b, err := l.find(name)
	if err != nil {
		return nil, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.closed:
			return nil, nil, scheduler.ErrClosed
		case b.loaded != nil:
			b.users++
			return b.loaded.api, sync.OnceFunc(func() { l.release(b) }), nil
		case l.changing != nil:
			changing := l.changing
			l.mu.Unlock()
			select {
			case <-changing:
			case <-ctx.Done():
			}
			l.mu.Lock()
			if ctx.Err() != nil {
				return nil, nil, context.Cause(ctx)
			}
		case !l.fits(b):
			victim := l.longestIdle(0)
			if victim == nil {
				return nil, nil, api.NoRoom(b.Name)
			}
			l.unload(victim)
		default:
			if err := l.fetch(b); err != nil {
				return nil, nil, err
			}
		}
	}
}

// release says that a request has ended.
func (l *library) release(b *book) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.users--
	b.idle = time.Now()
	if b.users == 0 && l.options.KeepAlive > 0 && !l.closed {
		time.AfterFunc(l.options.KeepAlive, l.expire)
	}
}

// expire unloads what has been idle for long.
func (l *library) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		if changing := l.changing; changing != nil {
			l.mu.Unlock()
			<-changing
			l.mu.Lock()
			continue
		}
		b := l.longestIdle(l.options.KeepAlive)
		if b == nil {
			return
		}
		l.unload(b)
	}
}

// fits says whether a model may be loaded beside those that are. The lock is held.
func (l *library) fits(b *book) bool {
	sum := b.charge
	for _, other := range l.books {
		if other.loaded != nil {
			sum += other.charge
		}
	}
	return l.options.MaxMemory == 0 || sum <= l.options.MaxMemory
}

// longestIdle is the loaded model that has answered nothing for the longest time, and at
// least for the one given; nil: there is none. The lock is held.
func (l *library) longestIdle(least time.Duration) *book {
	var found *book
	for _, b := range l.books {
		if b.loaded != nil && b.users == 0 && time.Since(b.idle) >= least && (found == nil || b.idle.Before(found.idle)) {
			found = b
		}
	}
	return found
}

// change runs f without the lock, which is held before and after, as the one change.
func (l *library) change(f func()) {
	done := make(chan struct{})
	l.changing = done
	l.mu.Unlock()
	defer func() { // even if f panics: nobody is to wait for it for ever
		l.mu.Lock()
		l.changing = nil
		close(done)
	}()
	f()
}

// fetch loads a model. The lock is held.
func (l *library) fetch(b *book) (err error) {
	var m *loaded
	start := time.Now()
	l.change(func() { m, err = l.load(b.Source, false) })
	if err != nil {
		return fmt.Errorf("loading %s: %w", b.Name, err)
	}
	b.loaded, b.idle = m, time.Now()
	l.options.Log.Info("loaded", "name", b.Name, "seconds", time.Since(start).Seconds())
	return nil
}

// unload unloads a model that answers nothing. The lock is held.
func (l *library) unload(b *book) {
	m := b.loaded
	b.loaded = nil
	b.before = sum(b.before, m.scheduler.Stats())
	l.change(func() {
		m.close()
		debug.FreeOSMemory() // what it took is for another one, or another program
	})
	l.options.Log.Info("unloaded", "name", b.Name)
}

// sum adds up what is counted, and leaves out what is of the moment.
func sum(a, b scheduler.Stats) scheduler.Stats {
	return scheduler.Stats{Prompt: a.Prompt + b.Prompt, Cached: a.Cached + b.Cached, Generated: a.Generated + b.Generated, Guessed: a.Guessed + b.Guessed, Right: a.Right + b.Right, Rounds: a.Rounds + b.Rounds}
}

// stats are the figures of all models.
func (l *library) stats() []api.ModelStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []api.ModelStats
	for _, b := range l.books {
		s := api.ModelStats{Name: b.Name, Loaded: b.loaded != nil, Stats: b.before}
		if b.loaded != nil {
			now := b.loaded.scheduler.Stats()
			s.Stats = sum(b.before, now)
			s.Active, s.Waiting, s.CacheBytes = now.Active, now.Waiting, now.CacheBytes
		}
		out = append(out, s)
	}
	return out
}

// close lets go of all models. Nothing may be under way.
func (l *library) close() {
	l.mu.Lock()
	l.closed = true
	for changing := l.changing; changing != nil; changing = l.changing {
		l.mu.Unlock()
		<-changing
		l.mu.Lock()
	}
	for _, b := range l.books {
		if b.loaded != nil {
			b.loaded.close()
			b.loaded = nil
		}
	}
	l.mu.Unlock()
	l.pool.Close()
}
