package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/engine/sampler"
	"github.com/specquant/specquant/internal/gguf"
)

// conversation is what a model's side files say about conversations with it. Nothing of it is
// needed before a conversation, so that inspect is where a damaged file shows.
type conversation struct {
	Template string `json:"chat_template,omitempty"`       // where it comes from; "": the model has none
	Fails    string `json:"chat_template_fails,omitempty"` // why the template makes no prompt of a question; "": it does
	Sampling string `json:"sampling,omitempty"`            // what the model's makers recommend
}

// readConversation reads the chat template and the recommended sampling, and checks both.
func readConversation(ck *checkpoint.Checkpoint) (c conversation, err error) {
	t, err := gguf.LoadTemplate(ck)
	if err == nil {
		c.Template = strings.TrimPrefix(t.From, ck.Dir+string(filepath.Separator))
		if failed := t.Try(context.Background()); failed != nil {
			c.Fails = failed.Error()
		}
	} else if !errors.Is(err, chat.ErrNone) {
		return c, err
	}
	if ck.GGUF != nil {
		return c, nil
	}
	o, ok, err := sampler.Recommended(ck.Dir)
	if ok {
		c.Sampling = fmt.Sprintf("temperature %g, top-k %d, top-p %g, min-p %g, repetition penalty %g", o.Temperature, o.TopK, o.TopP, o.MinP, o.RepetitionPenalty)
	}
	return c, err
}
