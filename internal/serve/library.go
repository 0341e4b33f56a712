package serve

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/serve/api"
	"github.com/specquant/specquant/internal/serve/scheduler"
)

// Source is a model that may be served.
type Source struct {
	Name string // as clients call it
	Path string // folder or file
	// Draft is the folder or file of a smaller model with the same vocabulary that guesses for
	// it; "": none.
	Draft string
}

// library holds the models of a server. A model is loaded by the first request for it, and
// unloaded when it has been idle for KeepAlive or another model needs its memory. One model is
// loaded or unloaded at a time; loaded ones answer meanwhile.
type library struct {
	options Options
	pool    *parallel.Pool
	metrics *api.Metrics
	bench   api.Bench
	books   []*book
	context int // the largest context of the models, in tokens

	mu       sync.Mutex    // guards the fields below, and the changing fields of the books
	changing chan struct{} // closed when the present loading or unloading has ended; nil if there is none
	closed   bool
}

// book is one of the models.
type book struct {
	Source
	info   api.Info
	caches int64 // the most memory that its KV caches and its draft model's can take, in bytes
	charge int64 // the most memory that it can take: its files and caches, and its draft model's, in bytes

	// Guarded by the library's lock.
	loaded *loaded         // nil: not loaded
	users  int             // requests that it is answering
	idle   time.Time       // when the last of them ended
	before scheduler.Stats // counts from earlier times when it was loaded
}

// newLibrary checks all models and loads the first.
func newLibrary(o Options, sources []Source) (*library, error) {
	l := &library{options: o, pool: parallel.NewPool(o.Threads), bench: api.NewBench()}
	l.metrics = api.NewMetrics(l.stats)
	for i, s := range sources {
		for _, other := range sources[:i] {
			if other.Name == s.Name {
				l.close()
				return nil, fmt.Errorf("%s and %s have the same name, %s; give them different ones as NAME=MODEL", other.Path, s.Path, s.Name)
			}
		}
		if err := l.add(s, i == 0); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

// add adds a model. It stays loaded if stay is set; otherwise it is only checked.
func (l *library) add(s Source, stay bool) error {
	m, err := l.load(s, !stay)
	if err != nil {
		return err
	}
	d := m.api.Details
	b := &book{Source: s, info: api.Info{Name: s.Name, Context: m.model.Context, Details: d, Defaults: m.api.Defaults, Recommended: m.api.Recommended}, caches: scheduler.CacheLimit(m.model, l.scheduling(m)), idle: time.Now()}
	b.charge = d.Bytes + b.caches + api.ConstraintBytes(m.api.Vocab, l.options.Scheduler.Texts())
	if m.draft != nil {
		b.charge += m.draft.Checkpoint.Bytes()
	}
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

// MemoryError is the error of a model that can't be served within --max-memory.
type MemoryError struct {
	Name                 string
	Bytes, Caches, Limit int64 // the most that it can take, the caches' part of that, and the limit
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("%s can take %s of memory (%d of them for KV caches), but --max-memory is %d; try fewer --slots, a smaller --keep or --ctx", e.Name, plural.Of(e.Bytes, "byte"), e.Caches, e.Limit)
}

// find returns the book of a name; "" is the first model.
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

// release is called when a request has ended.
func (l *library) release(b *book) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.users--
	b.idle = time.Now()
	if b.users == 0 && l.options.KeepAlive > 0 && !l.closed {
		time.AfterFunc(l.options.KeepAlive, l.expire)
	}
}

// expire unloads models that have been idle for KeepAlive.
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

// fits reports whether a model fits into memory beside the loaded ones. The lock is held.
func (l *library) fits(b *book) bool {
	sum := b.charge
	for _, other := range l.books {
		if other.loaded != nil {
			sum += other.charge
		}
	}
	return l.options.MaxMemory == 0 || sum <= l.options.MaxMemory
}

// longestIdle returns the loaded model that has been idle for the longest time, at least the
// given one; nil if there is none. The lock is held.
func (l *library) longestIdle(least time.Duration) *book {
	var found *book
	for _, b := range l.books {
		if b.loaded != nil && b.users == 0 && time.Since(b.idle) >= least && (found == nil || b.idle.Before(found.idle)) {
			found = b
		}
	}
	return found
}

// change runs f, which loads or unloads a model, without the lock. The lock is held before and
// after. Only one change runs at a time.
func (l *library) change(f func()) {
	done := make(chan struct{})
	l.changing = done
	l.mu.Unlock()
	defer func() { // also if f panics, so that nobody waits forever
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

// unload unloads an idle model. The lock is held.
func (l *library) unload(b *book) {
	m := b.loaded
	b.loaded = nil
	b.before = sum(b.before, m.scheduler.Stats())
	l.change(func() {
		m.close()
		debug.FreeOSMemory() // return its memory to the system
	})
	l.options.Log.Info("unloaded", "name", b.Name)
}

// sum adds the counters of a and b and leaves out momentary values.
func sum(a, b scheduler.Stats) scheduler.Stats {
	a.Add(b.Counts)
	return scheduler.Stats{Prompt: a.Prompt + b.Prompt, Cached: a.Cached + b.Cached, Generated: a.Generated + b.Generated, Rounds: a.Rounds + b.Rounds, Counts: a.Counts}
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

// close closes all models. No request may be running.
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
