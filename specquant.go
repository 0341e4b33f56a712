package specquant

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/kernel/parallel"
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
}

// Model is an open model: a quantized artefact or a full-precision checkpoint.
// It may be used by one goroutine at a time.
type Model struct {
	dir    string
	engine *engine.Model
	tok    *tokenizer.Tokenizer
	pool   *parallel.Pool
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
	if err != nil {
		model.Close()
		return nil, err
	}
	return model, nil
}

// Close closes the files and ends the threads.
func (m *Model) Close() error {
	m.pool.Close()
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

// Decode turns token ids into text, leaving special tokens out.
func (m *Model) Decode(ids []int) string { return m.tok.Decode(ids) }
