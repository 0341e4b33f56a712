// Package scheduler shares one model among many requests by continuous batching: in each
// round every text that is being generated gets one token, and texts whose prompts have
// not been computed yet get a piece of them, in the order of arrival.
//
// A request's answer does not depend on the other requests: the engine's rows do not depend on
// the batch, each text has its own random numbers, and a reused cache has the same bits that
// would be computed again.
//
// Memory is bounded when the scheduler is made: by the pages of all caches together, and by
// the length of the queue. Texts that begin alike share the pages of their beginning.
package scheduler

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/speculate"
)

// Options are the limits of a scheduler. The zero value has the defaults.
type Options struct {
	Slots int // texts that are generated at the same time; 0: 8
	Keep  int // further texts, ended ones, whose caches are kept; 0: 8, −1: none
	Queue int // requests that wait for a slot; 0: 64, -1: none
	Piece int // tokens of prompts that are computed in one round while other texts are generated; 0: 128
	// NoGuesses computes each token by itself, without guessing what follows it.
	NoGuesses bool
	// Draft is a model with the same vocabulary that guesses what follows; nil: none. Only the
	// scheduler may use it.
	Draft *engine.Model
	// Failed is called if the draft model fails; it is not used again. nil: nothing.
	Failed func(error)

	forced int // guesses in every round, for tests; 0: as many as pay
}

// alonePiece is the number of tokens of a prompt that are computed in one round if no other
// text waits for its next token. It bounds how long a canceled request keeps its slot.
const alonePiece = 512

func (o *Options) defaults() {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
		*p = max(*p, 0)
	}
	set(&o.Slots, 8)
	set(&o.Keep, 8)
	set(&o.Queue, 64)
	set(&o.Piece, 128)
}

// Check says which option makes no sense.
func (o Options) Check() error {
	for _, c := range []struct {
		name             string
		value, low, high int
	}{{"slots", o.Slots, 0, 256}, {"kept conversations", o.Keep, -1, 1024}, {"queue", o.Queue, -1, 65536}, {"piece of a prompt", o.Piece, 0, 65536}} {
		if c.value < c.low || c.value > c.high {
			return fmt.Errorf("%s: found %d, expected %d to %d", c.name, c.value, c.low, c.high)
		}
	}
	return nil
}

// Texts is how many are generated at once.
func (o Options) Texts() int {
	o.defaults()
	return o.Slots
}

// Stats are the state of a scheduler, and counts since it was made.
type Stats struct {
	Active, Waiting int   // texts being generated, requests in the queue
	CacheBytes      int64 // memory of all caches now, the draft model's too
	Prompt, Cached  int64 // tokens of prompts that were computed, and that were in a cache already
	Generated       int64 // tokens that were drawn
	Rounds          int64
	speculate.Counts
}

// Scheduler shares a model. Its methods may be called by any number of goroutines.
type Scheduler struct {
	model   *engine.Model
	options Options
	caches  *caches
	drafts  *caches // the draft model's; nil: there is none
	clock   uint64  // texts begun and ended
	active  []*task
	guesser *speculate.Guesser
	stopped chan struct{} // closed when the loop has ended
	wake    chan struct{} // capacity 1: there is something to do

	mu     sync.Mutex // guards what follows
	queue  []*task
	closed bool
	stats  Stats
	took   time.Duration // how long a text takes, smoothed
}

// New starts a scheduler for a model. From then on only the scheduler may use the model.
func New(m *engine.Model, o Options) *Scheduler {
	o.defaults()
	s := &Scheduler{model: m, options: o, stopped: make(chan struct{}), wake: make(chan struct{}, 1), took: time.Second}
	s.caches = newCaches(m, o)
	if o.Draft != nil {
		s.drafts = newCaches(o.Draft, o)
	}
	s.guesser = speculate.New(m, speculate.Options{Off: o.NoGuesses, Draft: o.Draft, Failed: o.Failed, Forced: o.forced})
	go s.loop()
	return s
}

// Options returns the options in use, with defaults filled in.
func (s *Scheduler) Options() Options { return s.options }

// Stats returns the present state and counts.
func (s *Scheduler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Waiting = len(s.queue)
	return st
}

// Do continues a text and returns when it has ended, or with the context's error soon
// after the context has. It returns [engine.ContextError] for a prompt that leaves no room for
// an answer, and a [BusyError] or [ErrClosed] if the request was not started.
func (s *Scheduler) Do(ctx context.Context, r Request) (Result, error) {
	if len(r.Prompt) == 0 {
		return Result{}, fmt.Errorf("the prompt has no tokens")
	}
	if n := len(r.Prompt) + 1; n > s.model.Context {
		return Result{}, &engine.ContextError{Tokens: n, Context: s.model.Context}
	}
	for _, id := range r.Prompt {
		if id < 0 || id >= s.model.Config.VocabSize {
			return Result{}, fmt.Errorf("token id %d is outside the vocabulary of %d", id, s.model.Config.VocabSize)
		}
	}
	t := &task{Request: r, ctx: ctx, limit: s.model.Context - len(r.Prompt), done: make(chan struct{})}
	if r.MaxTokens > 0 {
		t.limit = min(t.limit, r.MaxTokens)
	}
	if err := s.enqueue(t); err != nil {
		return Result{}, err
	}
	stop := context.AfterFunc(ctx, func() { s.forget(t) })
	defer stop()
	<-t.done
	return t.result, t.err
}

func (s *Scheduler) enqueue(t *task) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case !t.Follows && len(s.queue) >= s.options.Queue && s.stats.Active+len(s.queue) >= s.options.Slots+s.options.Queue:
		wait := s.took * time.Duration(len(s.queue)+1) / time.Duration(s.options.Slots)
		return &BusyError{RetryAfter: min(max(wait.Round(time.Second), time.Second), time.Minute)}
	}
	s.queue = append(s.queue, t)
	s.awake()
	return nil
}

// forget removes a canceled request from the queue. If it is running, the loop will notice.
func (s *Scheduler) forget(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.queue, t); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		t.err = context.Cause(t.ctx)
		close(t.done)
		return
	}
	s.awake()
}

func (s *Scheduler) awake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close ends all requests with [ErrClosed] and returns when the model is no longer in
// use.
func (s *Scheduler) Close() {
	s.mu.Lock()
	s.closed = true
	s.awake()
	s.mu.Unlock()
	<-s.stopped
}

// loop is the only goroutine that uses the model.
func (s *Scheduler) loop() {
	defer close(s.stopped)
	for {
		s.mu.Lock()
		closed := s.closed
		s.mu.Unlock()
		if closed {
			s.abandon()
			return
		}
		if s.admit(); len(s.active) == 0 {
			<-s.wake
			continue
		}
		s.round()
	}
}

// abandon ends all requests with [ErrClosed].
func (s *Scheduler) abandon() {
	s.mu.Lock()
	waiting := s.queue
	s.queue = nil
	s.mu.Unlock()
	for _, t := range waiting {
		t.err = ErrClosed
		close(t.done)
	}
	for _, t := range s.active {
		s.end(t, ErrClosed)
	}
	s.active = nil
}

// admit ends canceled requests and gives free slots to waiting ones in the order of arrival.
func (s *Scheduler) admit() {
	for _, t := range s.active {
		if t.ctx.Err() != nil {
			s.end(t, context.Cause(t.ctx))
		}
	}
	s.active = slices.DeleteFunc(s.active, func(t *task) bool { return t.ended })
	for len(s.active) < s.options.Slots {
		s.mu.Lock()
		var t *task
		if len(s.queue) > 0 {
			t = s.queue[0]
			s.queue = slices.Delete(s.queue, 0, 1)
			s.stats.Active = len(s.active) + 1
		}
		s.mu.Unlock()
		if t == nil {
			break
		}
		s.begin(t)
		s.active = append(s.active, t)
	}
	s.mu.Lock()
	s.stats.Active = len(s.active)
	s.mu.Unlock()
}

// begin gives a request its sequence.
func (s *Scheduler) begin(t *task) {
	s.clock++
	t.begun = time.Now()
	t.seq = s.caches.memory.NewSequence()
	t.sampler = sampler.New(t.Sampling, t.Prompt, nil)
	if t.Constraint != nil {
		t.sampler.Constrain(t.Constraint)
	}
	t.text = speculate.Text{Sampler: t.sampler, Ends: t.Ends}
	if s.drafts != nil && !t.Mean {
		t.text.Draft = s.drafts.begin(t.Prompt[:len(t.Prompt)-1], s.clock)
	}
}

// end finishes a text; its cache is kept.
func (s *Scheduler) end(t *task, err error) {
	if t.ended {
		return
	}
	s.clock++
	t.ended, t.err = true, err
	if t.Mean { // whose text nothing will go on with
		t.tokens = nil
	}
	s.caches.end(t.tokens, t.seq, s.clock)
	if d := t.text.Draft; d != nil {
		s.drafts.end(t.tokens, d, s.clock)
	}
	t.tokens = nil // those of ended texts are not looked at
	if err == nil {
		s.mu.Lock()
		s.took += (time.Since(t.begun) - s.took) / 8
		s.mu.Unlock()
	}
	close(t.done)
}

// round computes one batch and draws the next tokens. A panic ends only the texts that were
// part of the batch.
func (s *Scheduler) round() {
	defer func() {
		if p := recover(); p != nil {
			for _, t := range s.active {
				s.spoil(t, fmt.Errorf("internal error: %v\n%s", p, debug.Stack()))
			}
		}
	}()
	tasks, steps := s.batch()
	start, rows, alone := time.Now(), 0, true
	for i, t := range tasks {
		rows += len(steps[i].IDs)
		alone = alone && t.result.Tokens > 0
	}
	err := s.forward(tasks, steps)
	if err == nil && alone {
		s.guesser.Measured(rows, time.Since(start))
	}
	if err != nil && len(tasks) > 1 { // whose fault is it?
		for i, t := range tasks {
			if err := s.forward(tasks[i:i+1], steps[i:i+1]); err != nil {
				s.spoil(t, err)
			}
		}
	} else if err != nil {
		s.spoil(tasks[0], err)
	}
	var computed, before, after int64
	var counts speculate.Counts
	for i, t := range tasks {
		before += int64(t.result.Tokens)
		if t.ended {
			continue
		}
		t.tokens = append(t.tokens, steps[i].IDs...)
		if t.result.Tokens == 0 {
			computed += int64(len(steps[i].IDs))
		}
		if t.Mean && t.summed() {
			s.end(t, nil)
		}
	}
	s.draw(tasks)
	for _, t := range tasks {
		after += int64(t.result.Tokens)
		if t.looked {
			counts.Add(t.text.Counts())
		}
	}
	s.mu.Lock()
	s.stats.Rounds++
	s.stats.Prompt += computed
	s.stats.Generated += after - before
	s.stats.Add(counts)
	s.stats.CacheBytes = s.caches.memory.Bytes()
	if s.drafts != nil {
		s.stats.CacheBytes += s.drafts.memory.Bytes()
	}
	s.mu.Unlock()
}

// batch returns the steps of the next round: one token of each text, and pieces of prompts.
func (s *Scheduler) batch() ([]*task, []engine.Step) {
	var tasks []*task
	var steps []engine.Step
	for _, t := range s.active {
		t.logits, t.looked = t.logits[:0], false
		if len(t.tokens) >= len(t.Prompt) {
			tasks = append(tasks, t)
			steps = append(steps, engine.Step{Seq: t.seq, IDs: []int{t.drawn}, Want: engine.WantLast})
		}
	}
	left := s.options.Piece
	if len(tasks) == 0 {
		left = max(left, alonePiece)
	}
	drawing := len(tasks)
	for _, t := range s.active { // in the order of arrival
		if left == 0 || len(t.tokens) >= len(t.Prompt) || !s.share(t, tasks[drawing:]) {
			continue
		}
		rest := t.Prompt[len(t.tokens):]
		n := min(len(rest), left)
		left -= n
		want := engine.WantNone
		switch {
		case t.Mean:
			want = engine.WantHidden
		case n == len(rest):
			want = engine.WantLast
		}
		tasks = append(tasks, t)
		steps = append(steps, engine.Step{Seq: t.seq, IDs: rest[:n], Want: want})
	}
	s.lookAhead(tasks[:drawing], steps[:drawing], len(tasks) > drawing)
	return tasks, steps
}

// forward computes steps and stores each task's logits. After an error the sequences are
// unchanged.
func (s *Scheduler) forward(tasks []*task, steps []engine.Step) error {
	for _, t := range tasks {
		t.logits, t.ahead = t.logits[:0], append(t.ahead[:0], t.sum...)
	}
	return s.model.Forward(context.Background(), steps, func(step, _ int, logits []float32) error {
		if t := tasks[step]; !t.Mean {
			t.logits = append(t.logits, logits...)
		} else {
			t.addHidden(logits)
		}
		return nil
	})
}

// spoil ends a text with an error of the computation and discards its cache, which may be
// damaged.
func (s *Scheduler) spoil(t *task, err error) {
	if t.ended {
		return
	}
	t.tokens = nil
	s.end(t, err)
}

// draw draws the next token of each text that has logits, in parallel.
func (s *Scheduler) draw(tasks []*task) {
	var wait sync.WaitGroup
	finished := make([]func(), len(tasks)) // what this goroutine does after each of the others
	for i, t := range tasks {
		if t.ended || len(t.logits) == 0 {
			continue
		}
		wait.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					err := fmt.Errorf("internal error: %v\n%s", p, debug.Stack())
					finished[i] = func() { s.spoil(t, err) }
				}
			}()
			if ended, err := t.all(s.model.Config.VocabSize); ended {
				finished[i] = func() { s.end(t, err) }
			}
		})
	}
	wait.Wait()
	for _, f := range finished {
		if f != nil {
			f()
		}
	}
}

// lookAhead lets the guesser guess how texts that are to draw go on, and adds the guesses that
// are to be computed to their steps.
func (s *Scheduler) lookAhead(tasks []*task, steps []engine.Step, busy bool) {
	texts := make([]*speculate.Text, len(tasks))
	for i, t := range tasks {
		t.text.Tokens, t.text.Next, t.looked = t.tokens, t.drawn, true
		t.text.Most = min(t.limit-t.result.Tokens, s.model.Context-len(t.tokens)) - 1
		texts[i] = &t.text
	}
	s.guesser.Look(texts, busy)
	for i, t := range texts {
		if steps[i].IDs = t.Chosen(steps[i].IDs); len(steps[i].IDs) > 1 {
			steps[i].Want = engine.WantAll
		}
	}
}

// all draws a token, and further ones as long as they are those that were guessed. It says
// whether the text has ended.
func (t *task) all(vocab int) (ended bool, err error) {
	for more, rows := true, t.logits; more && len(rows) > 0; rows = rows[vocab:] {
		if ended, err = t.next(rows[:vocab]); ended {
			break
		}
		more = t.looked && t.text.Drawn(t.drawn)
	}
	if t.looked {
		t.tokens = t.tokens[:len(t.tokens)-t.text.Wrong()]
		t.seq.Truncate(len(t.tokens))
	}
	return ended, err
}

// next draws a token and says whether the text has ended, perhaps because no token was
// allowed.
func (t *task) next(logits []float32) (ended bool, err error) {
	ends := func(id int) bool { return t.Ends != nil && t.Ends(id) }
	id, err := t.sampler.NextAllowed(logits, ends)
	if err != nil {
		return true, err
	}
	if ends(id) {
		t.result.Finish = FinishStop
		return true, nil
	}
	token := Token{ID: id}
	if t.LogProbs >= 0 {
		token.LogProb, token.Top = sampler.LogProbs(logits, id, t.LogProbs)
	}
	t.drawn = id
	t.result.Tokens++
	switch {
	case t.Emit != nil && !t.Emit(token):
		t.result.Finish = FinishStop
	case t.Constraint != nil && t.Constraint.Done():
		t.result.Finish = FinishStop
	case t.result.Tokens >= t.limit:
		t.result.Finish = FinishLength
	default:
		return false, nil
	}
	return true, nil
}
