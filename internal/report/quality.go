package report

import (
	"context"
	"fmt"

	"github.com/specquant/specquant/internal/engine"
	"github.com/specquant/specquant/internal/eval"
	"github.com/specquant/specquant/internal/kernel/parallel"
	"github.com/specquant/specquant/internal/plural"
	"github.com/specquant/specquant/internal/tokenizer"
)

// Quality is a model measured against full precision on a text.
type Quality struct {
	eval.Divergence
	Protocol string
	Text     string // its name
}

// Measure compares the model in dir with the checkpoint in against by the GPTQ protocol, on
// at most `most` windows from the beginning of the text (0: all).
func Measure(ctx context.Context, dir, against, name, text string, most int, pool *parallel.Pool, progress func(done, all int)) (*Quality, error) {
	ref, err := engine.Open(against, engine.Options{Pool: pool})
	if err != nil {
		return nil, err
	}
	defer ref.Close()
	m, err := engine.Open(dir, engine.Options{Pool: pool})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	tok, err := tokenizer.Load(against)
	if err != nil {
		return nil, err
	}
	ids, err := tok.Encode(text, true)
	if err != nil {
		return nil, err
	}
	windows, err := eval.Windows(ids, min(2048, m.Context, ref.Context))
	if err != nil {
		return nil, err
	}
	cut := ""
	if most > 0 && len(windows) > most {
		cut = fmt.Sprintf(" of %d", len(windows))
		windows = windows[:most]
	}
	all := len(windows) * (len(windows[0]) - 1)
	tokens, err := eval.Compare(ctx, ref, m, windows, func(n int) {
		if progress != nil {
			progress(n, all)
		}
	})
	if err != nil {
		return nil, err
	}
	return &Quality{Divergence: eval.Summarize(tokens), Text: name,
		Protocol: fmt.Sprintf("gptq protocol: %d%s windows of %s, %d predicted; text sha256 %.12s", len(windows), cut, plural.Of(len(windows[0]), "token"), len(tokens), eval.TextHash(text))}, nil
}
