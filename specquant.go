package specquant

import (
	"fmt"
	"slices"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/speculate"
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
	Context int // the most tokens that a text and its continuation may have together; 0: the model's own limit, at most 8192
	// Draft is the folder or file of a smaller model with the same vocabulary, which guesses what
	// a text goes on with where that makes [Model.Generate] faster. What is generated is the same.
	// "": none.
	Draft string
}

// Model is an open model: a quantized artefact or a full-precision checkpoint.
// It may be used by one goroutine at a time.
type Model struct {
	dir    string
	engine *engine.Model
	tok    *tokenizer.Tokenizer
	pool   *parallel.Pool

	guesser     *speculate.Guesser
	draft       *engine.Model // nil: there is none
	draftFailed error         // what ended its use
	counts      speculate.Counts
}

// Open opens a folder that [Quantize] has written, a Hugging Face checkpoint, or a
// GGUF file. Weights stay in memory-mapped files, except the quantized weights of a GGUF file,
// which are repacked in memory.
func Open(dir string, o Options) (*Model, error) {
	pool := parallel.NewPool(o.Threads)
	m, err := engine.Open(dir, engine.Options{Pool: pool, Context: o.Context})
	if err != nil {
		pool.Close()
		return nil, err
	}
	model := &Model{dir: dir, engine: m, pool: pool}
	if model.tok, err = gguf.LoadTokenizer(m.Checkpoint); err == nil {
		if err = model.tok.Fits(m.Config.VocabSize); err != nil {
			err = fmt.Errorf("%s: %w", dir, err)
		}
	}
	if err == nil && o.Draft != "" {
		model.draft, err = speculate.OpenDraft(o.Draft, engine.Options{Pool: pool}, m, model.tok)
	}
	if err != nil {
		model.Close()
		return nil, err
	}
	model.guesser = speculate.New(m, speculate.Options{Draft: model.draft, Failed: func(err error) { model.draftFailed = err }})
	return model, nil
}

// Speculation counts tokens of [Model.Generate] that were guessed, and computed together with the
// ones before them.
type Speculation struct {
	Guessed, Right        int64 // computed ahead, and generated then
	Drafted, DraftedRight int64 // guessed by the draft model, and generated then
}

// since returns what has been added to an earlier count.
func (s Speculation) since(b Speculation) Speculation {
	return Speculation{s.Guessed - b.Guessed, s.Right - b.Right, s.Drafted - b.Drafted, s.DraftedRight - b.DraftedRight}
}

// Speculation returns the counts since the model was opened.
func (m *Model) Speculation() Speculation { return Speculation(m.counts) }

// Close closes the files and ends the threads.
func (m *Model) Close() error {
	m.pool.Close()
	if m.draft != nil {
		m.draft.Close()
	}
	return m.engine.Close()
}

// Bits returns the bits that the model runs in; 16-16-16 is full precision.
func (m *Model) Bits() Bits { return Bits(m.engine.Bits()) }

// Dir is the folder or file that the model was opened from.
func (m *Model) Dir() string { return m.engine.Checkpoint.Dir }

// Unsummed reports whether this is a quantized model of an early version, without checksums of
// all its files: damage to it may go unnoticed. The checksums of all others were verified when
// they were opened.
func (m *Model) Unsummed() bool { return m.engine.Checkpoint.Unsummed }

// Context returns the most tokens that a text and its continuation may have together.
func (m *Model) Context() int { return m.engine.Context }

// Encode turns text into the token ids that [Model.Generate] continues: with the BOS
// token if the model wants one and the text does not begin with it.
func (m *Model) Encode(text string) ([]int, error) { return m.tok.EncodePrompt(text) }

// PromptWarnings says what in a prompt is hardly meant: a written token that ends a text, behind
// which the model begins another one, and one that begins a text in the midst of it. ids are of
// [Model.Encode].
func (m *Model) PromptWarnings(ids []int) []string {
	ends := slices.Clone(m.engine.Config.EOS)
	for _, text := range checkpoint.EndTexts { // a base model's end of text is not always named by an instructed one's files
		if id, ok := m.tok.ID(text); ok && m.tok.IsSpecial(id) {
			ends = append(ends, id)
		}
	}
	return m.tok.Edges(ids, ends)
}

// Decode turns token ids into text, leaving special tokens out.
func (m *Model) Decode(ids []int) string { return m.tok.Decode(ids) }
