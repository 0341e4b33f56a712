package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// answer is what one request got.
type answer struct {
	first, last    time.Duration // from the request to the first and the last piece of the answer
	pieces         int
	prompt, tokens int // as the server counts
	cached         int // tokens of the prompt
	text           string
}

// client asks with a connection of its own for each request under way.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Second}}

// complete asks for the continuation of a text, streamed.
func complete(ctx context.Context, l *load, s server, prompt string) (a answer, err error) {
	fields := map[string]any{"prompt": prompt, "max_tokens": l.answer, "temperature": 0, "stream": true, "stream_options": map[string]any{"include_usage": true}}
	if l.model != "" {
		fields["model"] = l.model
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	if l.key != "" {
		req.Header.Set("Authorization", "Bearer "+l.key)
	}
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return a, fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	return a, a.read(resp.Body, start)
}

// read reads the events of a stream.
func (a *answer) read(body io.Reader, start time.Time) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	counted, text := false, strings.Builder{}
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var chunk struct {
			Choices []struct{ Text string }
			Usage   *struct {
				Prompt  int `json:"prompt_tokens"`
				Answer  int `json:"completion_tokens"`
				Details struct {
					Cached int `json:"cached_tokens"`
				} `json:"prompt_tokens_details"`
			}
			Error json.RawMessage
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return fmt.Errorf("event %.200s: %w", data, err)
		}
		if chunk.Error != nil {
			return fmt.Errorf("the server says: %s", chunk.Error)
		}
		if u := chunk.Usage; u != nil {
			a.prompt, a.tokens, a.cached, counted = u.Prompt, u.Answer, u.Details.Cached, true
		}
		if len(chunk.Choices) > 0 && chunk.Choices[0].Text != "" {
			a.last = time.Since(start)
			if a.pieces == 0 {
				a.first = a.last
			}
			a.pieces++
			text.WriteString(chunk.Choices[0].Text)
		}
	}
	a.text = text.String()
	switch {
	case lines.Err() != nil:
		return lines.Err()
	case !counted:
		return errors.New("the stream has no usage: the server does not know stream_options, or ended early")
	case a.pieces == 0:
		return errors.New("the answer is empty: try another -seed")
	}
	return nil
}

// ask lets n clients ask a server at once and adds what they got.
func (r *result) ask(ctx context.Context, l *load, s server, n, round int) error {
	rng := rand.New(rand.NewPCG(l.seed, uint64(n)<<16|uint64(round)))
	shared := words(rand.New(rand.NewPCG(l.seed, 0)), l.shared)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wait sync.WaitGroup
	answers, errs := make([]answer, n), make([]error, n)
	start := time.Now()
	for i := range n {
		prompt := shared + words(rng, l.prompt-l.shared)
		delay := time.Duration(rng.Float64() * float64(l.spread))
		wait.Go(func() {
			select {
			case <-time.After(delay):
				answers[i], errs[i] = complete(ctx, l, s, prompt)
			case <-ctx.Done():
				errs[i] = ctx.Err()
			}
			if errs[i] != nil {
				cancel()
			}
		})
	}
	wait.Wait()
	r.took += time.Since(start)
	for i, a := range answers {
		if errs[i] != nil && !errors.Is(errs[i], context.Canceled) {
			return errs[i]
		}
		r.prompt, r.answer, r.first = r.prompt+a.prompt, r.answer+a.tokens, append(r.first, a.first)
	}
	return errors.Join(errs...)
}

// turn is what the second turn of a conversation took.
type turn struct {
	first, each           time.Duration // to the first token, and for each of the others
	before, fresh, cached int           // tokens of the first turn, that came new, and that were cached
}

// secondTurns is the median of as many second turns as there are rounds.
func secondTurns(ctx context.Context, l *load, s server) (turn, error) {
	var all []turn
	for round := range l.rounds {
		t, err := secondTurn(ctx, l, s, round)
		if err != nil {
			return t, err
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b turn) int {
		return cmp.Compare(float64(a.first)/float64(a.each), float64(b.first)/float64(b.each))
	})
	return all[len(all)/2], nil
}

// secondTurn goes on with a text that a server has just answered.
func secondTurn(ctx context.Context, l *load, s server, round int) (t turn, err error) {
	prompt := words(rand.New(rand.NewPCG(l.seed, 1<<40+uint64(round))), l.prompt)
	a, err := complete(ctx, l, s, prompt)
	if err != nil {
		return t, err
	}
	b, err := complete(ctx, l, s, prompt+a.text+" And what then?")
	if err != nil {
		return t, err
	}
	t = turn{first: b.first, before: a.prompt + a.tokens, cached: b.cached}
	t.fresh = b.prompt - t.before
	if n := b.tokens - 1; n > 0 {
		t.each = (b.last - b.first) / time.Duration(n)
	}
	t.each = max(t.each, 1)
	return t, nil
}

// vocabulary are common words of which tokenizers make one token each, more or less.
var vocabulary = strings.Fields(`the of and to in a is that for it was on with as be by at this from are or an which have not but were has had they you their one all we can her there been if more when will
would who so no out up into do any your what about time only some could these two may then other its new over such man our under after also where most through before between must because years used water
work life world house night light hand school state city people great small large long old young right left high next early white black open free full road river country morning evening summer winter`)

// words are n words at random, with a blank behind each.
func words(rng *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(vocabulary[rng.IntN(len(vocabulary))])
		b.WriteByte(' ')
	}
	return b.String()
}
