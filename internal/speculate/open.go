package speculate

import (
	"fmt"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/gguf"
	"github.com/specquant/specquant/internal/tokenizer"
)

// OpenDraft opens the folder or file of a draft model for a model with a tokenizer, which must have
// the same tokens. Its context is the model's, or its own if that is shorter.
func OpenDraft(path string, o engine.Options, m *engine.Model, tok *tokenizer.Tokenizer) (*engine.Model, error) {
	ck, err := checkpoint.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the draft model: %w", err)
	}
	own, err := gguf.LoadTokenizer(ck)
	if err == nil {
		if err = tok.Same(own); err != nil {
			err = fmt.Errorf("its vocabulary is not that of %s: %w; a draft model must have the same", m.Checkpoint.Dir, err)
		}
	}
	var d *engine.Model
	if err == nil {
		o.Context = min(m.Context, ck.Config.MaxPositions)
		d, err = engine.New(ck, o)
	}
	if err != nil {
		ck.Close()
		return nil, fmt.Errorf("the draft model %s: %w", path, err)
	}
	return d, nil
}
