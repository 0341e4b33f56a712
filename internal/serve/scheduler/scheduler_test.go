package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/testmodel"
)

const context256 = 256

// open gives a small model at the bits; "" for full precision.
func open(t *testing.T, bits string) *engine.Model {
	t.Helper()
	return openOf(t, testmodel.Options{Context: context256, Layers: 2, Seed: 3}, bits)
}

func openOf(t *testing.T, o testmodel.Options, bits string) *engine.Model {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := testmodel.Write(dir, o); err != nil {
		t.Fatal(err)
	}
	if bits != "" {
		out := filepath.Join(t.TempDir(), "out")
		if _, err := specquant.Quantize(t.Context(), dir, out, specquant.QuantizeOptions{Recipe: "rtn", Bits: bits}); err != nil {
			t.Fatal(err)
		}
		dir = out
	}
	pool := parallel.NewPool(2)
	t.Cleanup(pool.Close)
	m, err := engine.Open(dir, engine.Options{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func start(t *testing.T, m *engine.Model, o Options) *Scheduler {
	s := New(m, o)
	t.Cleanup(s.Close)
	return s
}

// text is what a request gives: all of its tokens with their log-probabilities.
func text(ctx context.Context, s *Scheduler, r Request) (string, Result, error) {
	var out string
	r.Emit = func(tok Token) bool {
		out += fmt.Sprintf("%d:%x:%v ", tok.ID, tok.LogProb, tok.Top)
		return true
	}
	result, err := s.Do(ctx, r)
	return out, result, err
}

// request is the i-th of a series of different ones.
func request(i int) Request {
	rng := rand.New(rand.NewPCG(uint64(i), 5))
	prompt := []int{257}
	for range 3 + rng.IntN(90) {
		prompt = append(prompt, 32+rng.IntN(90))
	}
	return Request{Prompt: prompt, MaxTokens: 20 + rng.IntN(30), LogProbs: 2,
		Sampling: sampler.Options{Temperature: 1, TopP: 0.95, Seed: uint64(i), FrequencyPenalty: 0.5}}
}

// TestSameAloneAndAmongOthers: the same seeded request has the same answer, to the bit
// of its log-probabilities, alone in a new scheduler and among 16 others that come and
// go, with few slots and small pieces, with and without kept caches.
func TestSameAloneAndAmongOthers(t *testing.T) {
	for _, bits := range []string{"", "4-8-8", "4-8-4"} {
		t.Run("bits "+bits, func(t *testing.T) {
			m := open(t, bits)
			const n = 17
			want := make([]string, n)
			for i := range n {
				s := New(m, Options{Slots: 1, Keep: -1})
				var err error
				if want[i], _, err = text(t.Context(), s, request(i)); err != nil {
					t.Fatal(err)
				}
				s.Close()
			}
			for _, o := range []Options{{Slots: 16, Keep: -1, Piece: 7}, {Slots: 4, Keep: 3, Piece: 33}, {}} {
				s := New(m, o)
				for range 2 { // the second time with what is kept of the first
					var wait sync.WaitGroup
					for i := range n {
						wait.Go(func() {
							time.Sleep(time.Duration(i%5) * time.Millisecond)
							if i%4 == 3 { // goes away in between, and asks again
								ctx, cancel := context.WithTimeout(t.Context(), 3*time.Millisecond)
								text(ctx, s, request(i))
								cancel()
							}
							got, _, err := text(t.Context(), s, request(i))
							if err != nil || got != want[i] {
								t.Errorf("%+v: request %d: error %v\n%s\nexpected\n%s", o, i, err, got, want[i])
							}
						})
					}
					wait.Wait()
				}
				s.Close()
			}
		})
	}
}

// TestPrefixIsKept: the next turn of a conversation computes only what is new, also when
// others were answered in between, and gives what it gives without a cache; a prompt that
// shares only its beginning gets that without taking it from the other.
func TestPrefixIsKept(t *testing.T) {
	m := open(t, "4-8-8")
	plain := start(t, m, Options{Slots: 1, Keep: -1})
	first := request(1)
	first.Prompt = append(first.Prompt, request(2).Prompt[1:]...)
	var answer []int
	r := first
	r.Emit = func(tok Token) bool { answer = append(answer, tok.ID); return true }
	if _, err := plain.Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	second := first
	second.Prompt = slices.Concat(first.Prompt, answer, []int{65, 66, 67})
	second.MaxTokens = 5
	plain.Close()
	plain = start(t, m, Options{Slots: 1, Keep: -1})
	want, result, err := text(t.Context(), plain, second)
	if err != nil || result.Cached != 0 {
		t.Fatal(result, err)
	}
	plain.Close()

	s := start(t, m, Options{Slots: 2, Keep: 2})
	if _, err := s.Do(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	other := request(9)
	other.Prompt[1], other.MaxTokens = 40, 1
	if _, err := s.Do(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	fork := first // shares 30 tokens
	fork.Prompt = append(slices.Clone(first.Prompt[:30]), 126, 126)
	_, result, err = text(t.Context(), s, fork)
	if err != nil || result.Cached != 30 {
		t.Errorf("a prompt that shares 30 tokens: %d cached, error %v", result.Cached, err)
	}
	got, result, err := text(t.Context(), s, second)
	// The last token of an answer is drawn and not fed.
	if expected := len(first.Prompt) + len(answer) - 1; err != nil || result.Cached != expected {
		t.Errorf("second turn: %d tokens cached, expected %d; error %v", result.Cached, expected, err)
	}
	if got != want {
		t.Errorf("second turn with a cache:\n%s\nexpected\n%s", got, want)
	}
	if st := s.Stats(); st.CacheBytes == 0 || st.CacheBytes > CacheLimit(m, s.Options()) {
		t.Errorf("caches take %d bytes, the limit is %d", st.CacheBytes, CacheLimit(m, s.Options()))
	}
}

// held is a request that holds its slot: it goes on until it is told not to.
func held(t *testing.T, s *Scheduler) (release func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	var once sync.Once
	done := make(chan error, 1)
	block := make(chan struct{})
	go func() {
		r := request(0)
		r.MaxTokens = 0
		r.Emit = func(Token) bool { once.Do(func() { close(started); <-block }); return true }
		_, err := s.Do(ctx, r)
		done <- err
	}()
	<-started
	return func() error { cancel(); close(block); return <-done }
}

// TestCancelFreesTheSlot: with its one slot taken, a canceled request makes room for the
// next, and a canceled one in the queue goes at once.
func TestCancelFreesTheSlot(t *testing.T) {
	s := start(t, open(t, ""), Options{Slots: 1, Keep: -1, Queue: 2})
	release := held(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() { _, err := s.Do(ctx, request(1)); waiting <- err }()
	for s.Stats().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel() // the loop is held: only the queue can let it go
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("canceled in the queue: error %v", err)
	}
	if err := release(); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: error %v", err)
	}
	if _, err := s.Do(t.Context(), request(2)); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Active > 1 || st.Waiting != 0 {
		t.Errorf("left over: %+v", st)
	}
}

// TestQueueIsBounded: one request more than fits is refused and says when to come back.
func TestQueueIsBounded(t *testing.T) {
	s := start(t, open(t, ""), Options{Slots: 1, Keep: -1, Queue: 2})
	release := held(t, s)
	results := make(chan error, 2)
	for i := range 2 {
		go func() { _, err := s.Do(t.Context(), request(i)); results <- err }()
	}
	for s.Stats().Waiting < 2 {
		time.Sleep(time.Millisecond)
	}
	_, err := s.Do(t.Context(), request(5))
	var busy *BusyError
	if !errors.As(err, &busy) || !errors.Is(err, ErrBusy) || busy.RetryAfter < time.Second || busy.RetryAfter > time.Minute {
		t.Errorf("full queue: error %v", err)
	}
	release()
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// TestOrder: those that wait are answered in the order in which they came.
func TestOrder(t *testing.T) {
	s := start(t, open(t, ""), Options{Slots: 1, Keep: -1})
	release := held(t, s)
	var mu sync.Mutex
	var order []int
	var wait sync.WaitGroup
	for i := range 5 {
		wait.Go(func() {
			r := request(i)
			r.MaxTokens = 1
			r.Emit = func(Token) bool { mu.Lock(); order = append(order, i); mu.Unlock(); return true }
			if _, err := s.Do(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
		for s.Stats().Waiting <= i {
			time.Sleep(time.Millisecond)
		}
	}
	release()
	wait.Wait()
	if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
		t.Errorf("answered in the order %v", order)
	}
}

// TestFinish: why texts end, and prompts that can't be continued.
func TestFinish(t *testing.T) {
	s := start(t, open(t, ""), Options{Slots: 2})
	r := request(3)
	r.MaxTokens = 4
	if result, err := s.Do(t.Context(), r); err != nil || result.Finish != FinishLength || result.Tokens != 4 {
		t.Error(result, err)
	}
	r.MaxTokens = 0
	if result, err := s.Do(t.Context(), r); err != nil || result.Finish != FinishLength || len(r.Prompt)+result.Tokens != context256 {
		t.Error("until the context is full:", result, err)
	}
	r.Ends = func(int) bool { return true }
	if result, err := s.Do(t.Context(), r); err != nil || result.Finish != FinishStop || result.Tokens != 0 {
		t.Error(result, err)
	}
	r.Ends, r.Emit = nil, func(Token) bool { return false }
	if result, err := s.Do(t.Context(), r); err != nil || result.Finish != FinishStop || result.Tokens != 1 {
		t.Error(result, err)
	}
	var long *engine.ContextError
	if _, err := s.Do(t.Context(), Request{Prompt: make([]int, context256)}); !errors.As(err, &long) {
		t.Error(err)
	}
	for _, prompt := range [][]int{nil, {-1}, {testmodel.Vocab}} {
		if _, err := s.Do(t.Context(), Request{Prompt: prompt}); err == nil {
			t.Errorf("prompt %v: no error", prompt)
		}
	}
	r.Emit = func(Token) bool { panic("of one request") }
	if _, err := s.Do(t.Context(), r); err == nil {
		t.Error("a panic in Emit gave no error")
	}
	if _, err := s.Do(t.Context(), request(1)); err != nil {
		t.Error("after a panic in another request:", err)
	}
	s.Close()
	if _, err := s.Do(t.Context(), r); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
