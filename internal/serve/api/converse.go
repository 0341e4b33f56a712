package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/plural"
)

// converse begins the answer to a conversation for the APIs that are not OpenAI's chat
// completions, with the same limits and the same way through the template. What is not
// enforced of a form is named in w's headers. prompt is the number of the prompt's tokens.
func (a *API) converse(w http.ResponseWriter, r *http.Request, t *talk, c *common) (run *running, prompt int, err error) {
	p, err := a.plan(r.Context(), t)
	if err != nil {
		return nil, 0, err
	}
	p.constraint.warn(w)
	j := job{prompts: [][]int{p.prompt}, reading: p.reading, constraint: p.constraint, choices: 1, max: value(c.MaxTokens, 0), sampling: c.sampling(a.Defaults), stops: c.Stop, ends: ends(a.Ends, a.TurnEnds), logProbs: -1, follows: t.open}
	return a.generate(r.Context(), j), len(p.prompt), nil
}

// roles checks the messages' number and roles.
func roles(param string, messages []chat.Message, known ...string) error {
	if len(messages) == 0 || len(messages) > MaxMessages {
		return invalid(param, "found %s, expected 1 to %d", plural.Of(len(messages), "message"), MaxMessages)
	}
	for i, m := range messages {
		if !slices.Contains(known, m.Role) {
			return invalid(param, "item %d: role: found %.40q, expected one of %s", i, m.Role, strings.Join(known, ", "))
		}
	}
	return nil
}

// textOf reads a text, or a list of parts of the kinds that are texts, as one text. Other parts
// are an error that names their kind. Fields of parts other than type and text have no effect.
func textOf(raw json.RawMessage, kinds ...string) (string, error) {
	var text *string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		if text == nil {
			return "", errors.New("content is missing")
		}
		return *text, nil
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return "", errors.New("expected a text or a list of parts")
	}
	var texts []string
	for i, p := range parts {
		if !slices.Contains(kinds, p.Type) {
			return "", fmt.Errorf("part %d is %.40q; this server takes text only (%s): no images, audio, files or tools", i, p.Type, strings.Join(kinds, ", "))
		}
		if p.Text == nil {
			return "", fmt.Errorf("part %d has no text", i)
		}
		texts = append(texts, *p.Text)
	}
	return strings.Join(texts, "\n"), nil
}

// field is an unsupported field of a request.
type field struct {
	name string
	raw  json.RawMessage
}

// refuse returns an error for the first field that asks for something.
func refuse(fields ...field) error {
	for _, f := range fields {
		if asks(f.raw) {
			return unsupported(f.name, "is not supported by this server")
		}
	}
	return nil
}

// renamed replaces the field's name in an error by its name in another API.
func renamed(err error, names map[string]string) error {
	var e *Error
	if !errors.As(err, &e) || names[e.Param] == "" {
		return err
	}
	out := *e
	out.Param = names[e.Param]
	out.Message = out.Param + strings.TrimPrefix(e.Message, e.Param)
	return &out
}

// answered waits for the only text of a job.
func answered(run *running) (whole, error) {
	all, err := collected(run, 1)
	if err != nil {
		return whole{}, err
	}
	return all[0], nil
}
