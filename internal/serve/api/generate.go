package api

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/serve/scheduler"
	"github.com/specquant/specquant/internal/tokenizer"
)

// job is everything that one HTTP request wants generated.
type job struct {
	prompts  [][]int
	choices  int // continuations of each prompt; the i-th has the seed + i
	max      int // tokens of each; 0: as many as fit
	sampling sampler.Options
	stops    []string
	ends     map[int]bool
	logProbs int // -1: none
	// For chats; nil: the answer is any text.
	reading    *reading
	constraint *constraint
	follows    bool // the text continues the prompt's text, which decides about the space before its first word
}

// event is new output of a choice.
type event struct {
	choice    int
	text      string     // what may be shown
	reasoning string     // what the model thinks
	calls     []toolCall // or what more there is of the arguments of one, which then has no ID
	tokens    []drawn
	finish    string // why the choice has ended; "": it has not
	stop      string // by which of the stop strings; "": by none
}

// drawn is a token with its log-probabilities.
type drawn struct {
	scheduler.Token
	offset int // bytes of text before it
}

// usage counts tokens, in OpenAI's form.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
}

// running is a running job. Its events are read with next.
type running struct {
	cancel context.CancelCauseFunc
	ready  chan struct{} // capacity 1: there are events, or it has ended
	done   chan struct{} // closed when nothing more will come

	mu     sync.Mutex
	events []event // not more than the tokens that were asked for
	usage  usage
	err    error
}

// generate starts a job. The caller must call stop in the end.
func (a *API) generate(ctx context.Context, j job) *running {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &running{cancel: cancel, ready: make(chan struct{}, 1), done: make(chan struct{})}
	start := time.Now()
	var first sync.Once
	firstToken := func() {
		first.Do(func() { a.Metrics.first.WithLabelValues(a.Name).Observe(time.Since(start).Seconds()) })
	}
	var all sync.WaitGroup
	for p := range j.prompts {
		all.Go(func() {
			// The first choice computes the prompt; the others start when they can
			// copy its cache.
			computed := make(chan struct{})
			var once sync.Once
			begun := func() { once.Do(func() { close(computed) }) }
			var rest sync.WaitGroup
			for i := 1; i < j.choices; i++ {
				rest.Go(func() {
					select {
					case <-computed:
						a.generateChoice(ctx, &j, r, p*j.choices+i, true, firstToken)
					case <-ctx.Done():
					}
				})
			}
			a.generateChoice(ctx, &j, r, p*j.choices, p > 0, func() {
				firstToken()
				begun()
			})
			begun()
			rest.Wait()
		})
	}
	go func() {
		all.Wait()
		close(r.done)
	}()
	return r
}

// generateChoice generates one choice of a job: number index%choices of prompt index/choices. follows: another choice or prompt of
// the job has been started before it. begun is called at each token, before its event is added to r.
func (a *API) generateChoice(ctx context.Context, j *job, r *running, index int, follows bool, begun func()) {
	defer func() {
		if p := recover(); p != nil {
			r.fail(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	prompt := j.prompts[index/j.choices]
	c := choice{index: index, stream: a.Tokenizer.Stream()}
	c.stops, _ = sampler.NewStops(j.stops) // checked
	if j.reading != nil {
		c.reader = newReader(j.reading)
	}
	var limits scheduler.Constraint
	if j.constraint != nil {
		limits = j.constraint.grammar.Matcher(slices.Collect(maps.Keys(j.ends)))
	}
	if j.follows {
		for _, id := range prompt {
			c.stream.Next(id)
		}
	}
	sampling := j.sampling
	sampling.Seed += uint64(index % j.choices)
	result, err := a.Scheduler.Do(ctx, scheduler.Request{Prompt: prompt, MaxTokens: j.max, Sampling: sampling, Constraint: limits, LogProbs: j.logProbs, Follows: follows,
		Ends: func(id int) bool { return j.ends[id] },
		Emit: func(t scheduler.Token) bool {
			begun()
			e, more := c.push(t, j.logProbs >= 0)
			r.add(e)
			return more
		}})
	if err != nil {
		r.fail(err)
		return
	}
	r.count(len(prompt), result, index%j.choices == 0)
	r.add(c.finish(result.Finish))
}

// stop ends a job if it is running, and waits until all of it has ended.
func (r *running) stop() {
	r.cancel(context.Canceled)
	<-r.done
}

func (r *running) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

func (r *running) add(e event) {
	if e.text == "" && e.reasoning == "" && len(e.calls) == 0 && len(e.tokens) == 0 && e.finish == "" {
		return
	}
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	r.signal()
}

// fail ends all choices, so that a failed one is not mistaken for a complete answer.
func (r *running) fail(err error) {
	r.mu.Lock()
	if r.err == nil {
		r.err = err
	}
	r.mu.Unlock()
	r.cancel(err)
	r.signal()
}

func (r *running) count(prompt int, result scheduler.Result, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first { // a prompt is counted once, however many choices it has
		r.usage.Prompt += prompt
		r.usage.Details.Cached += result.Cached
	}
	r.usage.Completion += result.Tokens
	r.usage.Total = r.usage.Prompt + r.usage.Completion
}

// next waits until there are events, the job has ended (then it returns no events and no
// error), or limit has passed (then waited is true).
func (r *running) next(limit time.Duration) (events []event, waited bool, err error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		var ended bool
		select {
		case <-r.ready:
		case <-r.done:
			ended = true
		case <-timer.C:
			return nil, true, nil
		}
		r.mu.Lock()
		events, r.events = r.events, nil
		err = r.err
		r.mu.Unlock()
		if len(events) > 0 && err == nil || err != nil || ended {
			return events, false, err
		}
	}
}

// finishCalls is why a text ended that has called tools.
const finishCalls = "tool_calls"

// choice turns the tokens of one text into what may be shown of it.
type choice struct {
	index  int
	stream *tokenizer.Stream
	stops  *sampler.Stops
	reader *reader // nil: all of the text is shown as it is
	shown  int
	ended  string // the stop string that ended the text; "": none
}

func (c *choice) push(t scheduler.Token, logProbs bool) (e event, more bool) {
	e = event{choice: c.index}
	if logProbs {
		e.tokens = []drawn{{t, c.shown}}
	}
	text := c.stream.Next(t.ID)
	if c.reader != nil {
		text += c.reader.markers[t.ID]
	}
	text, c.ended = c.stops.Push(text)
	c.shown += len(text)
	c.show(text, false, &e)
	return e, c.ended == ""
}

// show adds text to an event as answer, reasoning or call.
func (c *choice) show(text string, end bool, e *event) {
	if c.reader == nil {
		e.text = text
		return
	}
	c.reader.push(text, end, e)
}

// finish returns the text that was held back and why the text has ended.
func (c *choice) finish(why string) event {
	e := event{choice: c.index, finish: why}
	text := ""
	if c.ended == "" {
		if text, c.ended = c.stops.Push(c.stream.Flush()); c.ended == "" {
			text += c.stops.Flush()
		}
	}
	c.show(text, true, &e)
	switch {
	case c.ended != "":
		e.finish, e.stop = scheduler.FinishStop, c.ended
	case c.reader != nil && c.reader.made > 0 && why == scheduler.FinishStop:
		e.finish = finishCalls
	}
	return e
}

// ends returns the set of tokens that end a text.
func ends(lists ...[]int) map[int]bool {
	m := map[int]bool{}
	for _, id := range slices.Concat(lists...) {
		m[id] = true
	}
	return m
}
