package specquant

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/pipeline"
	"github.com/specquant/specquant/internal/tokenizer"
)

// sideFileWarnings says what is wrong with the files beside the weights of a checkpoint's folder
// that the quantized model would have too, or not have, although it runs: the chat template, the
// recommended sampling, and files that nothing here reads. What a model cannot run without is
// checked by the job itself.
func sideFileWarnings(dir string) (warnings []string) {
	var said []string // errors that are part of warnings
	warn := func(err error, so string) {
		text := err.Error()
		if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, text) }) {
			said, warnings = append(said, text), append(warnings, fmt.Sprintf("%s; %s", text, so))
		}
	}
	const talk, notCopied = "conversations with the quantized model (chat, serve) will not work", "it is not copied"
	template, err := chat.Load(dir)
	if err == nil {
		err = template.Try(context.Background())
	}
	if err != nil && !errors.Is(err, chat.ErrNone) {
		warn(err, talk)
	}
	if _, _, err := sampler.Recommended(dir); err != nil {
		warn(err, "chat and serve will refuse the quantized model unless they are told how to sample")
	}
	unreadable, damaged := tokenizer.Unread(dir)
	for _, err := range unreadable {
		warn(err, notCopied)
	}
	for _, err := range damaged {
		warn(err, "the quantized model runs without it, and it is copied as it is")
	}
	for _, name := range pipeline.Licences {
		if st, err := input.Stat(filepath.Join(dir, name)); err == nil && !st.Mode().IsRegular() {
			warn(&input.NotRegularError{Path: filepath.Join(dir, name), Mode: st.Mode()}, notCopied)
		}
	}
	return warnings
}
