package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/speculate"
)

// Errors of [Scheduler.Do] that are not about the request.
var (
	ErrClosed = errors.New("the server is shutting down")
	// ErrBusy is wrapped by a [BusyError].
	ErrBusy = errors.New("the server is busy: its queue is full")
)

// BusyError is the error of a request that finds the queue full.
type BusyError struct {
	RetryAfter time.Duration // when there may be room, estimated from the duration of recent requests
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v; try again in %s", ErrBusy, plural.Of(int(e.RetryAfter.Seconds()), "second"))
}

func (e *BusyError) Unwrap() error { return ErrBusy }

// Request is a text to continue.
type Request struct {
	Prompt    []int // token ids, at least one
	MaxTokens int   // 0: as many as fit the context
	Sampling  sampler.Options
	Ends      func(id int) bool // reports whether a token ends the text; such a token is not part of it
	// Constraint limits which tokens are drawn; nil if there is none. It must not be shared
	// between requests.
	Constraint Constraint
	LogProbs   int // number of most likely tokens to report with each drawn one; −1: no log-probabilities
	// Emit is called with each token as soon as it is drawn; if it returns false, the text
	// ends with that token. It is called by one goroutine at a time, never after Do has
	// returned, and must not block.
	Emit func(Token) bool
	// Follows marks a further continuation for a client whose first one is running. It is
	// accepted even if the queue is full.
	Follows bool
	// Mean asks for the mean of the prompt's last hidden states (Result.Mean) instead of a
	// continuation.
	Mean bool
}

// Constraint limits which tokens are drawn for one text.
type Constraint interface {
	sampler.Constraint
	Done() bool // nothing may follow, so the text ends without an end token
}

// Token is a token that was drawn.
type Token struct {
	ID      int
	LogProb float64           // in the model's own distribution, if Request.LogProbs asks for it
	Top     []sampler.LogProb // the most likely ones, in order
}

// Why a text ended.
const (
	FinishStop   = "stop"   // the model ended it, or Emit
	FinishLength = "length" // MaxTokens, or the context is full
)

// Result describes a text that has ended, by itself or by an error.
type Result struct {
	Cached int    // tokens of the prompt that were in a KV cache already
	Tokens int    // that were drawn and belong to the text
	Finish string // FinishStop or FinishLength; "" after an error
	// Mean [hidden] is the mean of the output matrix's inputs over the prompt's tokens, if
	// Request.Mean asks for it.
	Mean []float64
}

// task is a request that is waiting or running.
type task struct {
	Request
	ctx     context.Context
	sampler *sampler.Sampler
	limit   int // tokens to draw, at most
	seq     *engine.Sequence
	tokens  []int // that seq holds
	begun   time.Time

	drawn  int       // the token drawn last, to be fed next; valid where result.Tokens > 0
	logits []float32 // of this round, [rows][vocab]: of the last token and of guesses; empty: none

	text   speculate.Text // what may come behind drawn
	looked bool           // in this round guesses were made, of which some may be computed

	sum    []float64 // of the hidden states of the prompt so far, where Mean asks for it
	ahead  []float64 // the same with this round's piece of the prompt; worthless if the round fails
	result Result
	ended  bool
	err    error
	done   chan struct{} // closed when result and err are final
}
