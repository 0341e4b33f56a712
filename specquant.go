package specquant

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/kernel"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Version of the program and library.
const Version = "0.1.0"

// Errors that callers may want to tell apart, with errors.Is.
var (
	ErrMalformed   = checkpoint.ErrMalformed   // a file is damaged or not what its name says
	ErrUnsupported = checkpoint.ErrUnsupported // a file is fine, but its architecture or type is not supported
	ErrNotFound    = checkpoint.ErrNotFound    // a file or tensor is missing
)

// Options say how a model is opened. The zero value is ready for use.
type Options struct {
	Threads int // 0: one for each CPU
	Context int // most tokens of a text with its continuation; 0: the model's own, at most 8192
}

// Model is an open model: a quantized artefact or a full-precision checkpoint.
// It may be used by one goroutine at a time.
type Model struct {
	engine *engine.Model
	tok    *tokenizer.Tokenizer
	pool   *kernel.Pool
}

// Open opens a folder that [Quantize] has written, or a Hugging Face
// checkpoint. Weights stay in the memory map.
func Open(dir string, o Options) (*Model, error) {
	pool := kernel.NewPool(o.Threads)
	m, err := engine.Open(dir, engine.Options{Pool: pool, Context: o.Context})
	if err != nil {
		pool.Close()
		return nil, err
	}
	model := &Model{engine: m, pool: pool}
	if model.tok, err = tokenizer.Load(dir); err == nil {
		if n := model.tok.VocabSize(); n > m.Config.VocabSize {
			err = fmt.Errorf("%s: the tokenizer has %d tokens, config.json's vocab_size is %d; the files do not belong together", dir, n, m.Config.VocabSize)
		}
	}
	if err != nil {
		model.Close()
		return nil, err
	}
	return model, nil
}

// Close lets go of the files and threads.
func (m *Model) Close() error {
	m.pool.Close()
	return m.engine.Close()
}

// Bits are the bits the model runs in; 16-16-16 is full precision.
func (m *Model) Bits() Bits { return Bits(m.engine.Bits()) }

// Context is the most tokens that a text with its continuation may have.
func (m *Model) Context() int { return m.engine.Context }

// Encode turns text into token ids, with the BOS token if the model wants one.
func (m *Model) Encode(text string) ([]int, error) { return m.tok.Encode(text, true) }

// Decode turns token ids into text, leaving special tokens out.
func (m *Model) Decode(ids []int) string { return m.tok.Decode(ids) }

// GenerateOptions say how text is continued. The zero value continues greedily
// until the model ends the text or the context is full.
type GenerateOptions struct {
	MaxTokens   int     // 0: as many as fit
	Temperature float64 // 0: always the most likely token
	TopK        int     // 0: off
	TopP        float64 // 0 or 1: off
	MinP        float64 // 0: off
	Seed        uint64
	IgnoreEOS   bool // go on past the end-of-text token
}

// Token is one generated token.
type Token struct {
	ID   int
	Text string // what it adds to the text; may be empty inside a multi-byte character
}

// Generate continues the prompt, yielding each token as soon as it is known.
// It ends at the end-of-text token, after MaxTokens, or with an error: the
// context's, [ContextError], or one of the model's files. Breaking out of the
// loop stops the work.
func (m *Model) Generate(ctx context.Context, prompt string, o GenerateOptions) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		fail := func(err error) { yield(Token{}, publicError(err)) }
		sampling := engine.Sampling{Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, MinP: o.MinP, Seed: o.Seed}
		if err := sampling.Check(); err != nil {
			fail(err)
			return
		}
		ids, err := m.tok.Encode(prompt, true)
		if err != nil {
			fail(err)
			return
		}
		if len(ids) == 0 {
			fail(errors.New("the prompt is empty and the model has no beginning-of-text token; give a prompt"))
			return
		}
		limit := m.engine.Context - len(ids)
		if o.MaxTokens > 0 {
			limit = min(limit, o.MaxTokens)
		}
		stops := map[int]bool{}
		for _, id := range append(m.tok.EOS(), m.engine.Config.EOS...) {
			stops[id] = !o.IgnoreEOS
		}
		sampler, stream, seq := engine.NewSampler(sampling), m.tok.Stream(), m.engine.NewSequence()
		for _, id := range ids {
			stream.Next(id) // what follows is spaced as the prompt's continuation
		}
		var next int
		for n := 0; ; n++ {
			err := m.engine.Forward(ctx, []engine.Step{{Seq: seq, IDs: ids, Want: engine.WantLast}}, func(_, _ int, logits []float32) error {
				next = sampler.Next(logits)
				return nil
			})
			if err != nil {
				fail(err)
				return
			}
			if stops[next] || n >= limit {
				break
			}
			if !yield(Token{ID: next, Text: stream.Next(next)}, nil) {
				return
			}
			if n+1 == limit {
				break
			}
			ids = []int{next}
		}
		if rest := stream.Flush(); rest != "" {
			yield(Token{ID: -1, Text: rest}, nil)
		}
	}
}
