package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/chat"
	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/compare"
	"github.com/specquant/specquant/internal/tokenizer"
)

// The evaluation texts of real models: four kinds of text that share nothing with the embedded
// calibration text. Each is long enough for 40 windows of 512 tokens. Pieces of different
// sources take turns, so that the first windows are of several sources too.
const (
	wikiBytes   = 400_000
	pieceBytes  = 4_000 // of one book or file of code in each round
	rounds      = 3
	shortest    = 20_000 // bytes of a book that is used
	eachSet     = 40     // questions of each task
	answerLimit = 160    // tokens
)

// codeFiles are files of Go's standard library.
var codeFiles = []string{"archive/tar/format.go", "bufio/scan.go", "container/heap/heap.go", "encoding/csv/reader.go", "go/token/position.go", "html/escape.go",
	"image/draw/draw.go", "math/big/ratconv.go", "net/url/url.go", "sort/search.go", "strings/builder.go", "text/tabwriter/tabwriter.go"}

// questionSets are the tasks whose questions are put to the model.
var questionSets = []string{"arc_easy", "openbook_qa", "piqa"}

// domains returns the four texts. They are made once and kept in the folder work/texts, where
// they may also be replaced by others. The chat consists of the answers of the model in dir.
func domains(ctx context.Context, data, work, dir string, threads int) ([]compare.Text, error) {
	var out []compare.Text
	for _, d := range []struct {
		name string
		make func() ([]byte, error)
	}{
		{"wiki", func() ([]byte, error) { return wiki(data) }},
		{"books", func() ([]byte, error) { return books(data) }},
		{"code", code},
		{"chat", func() ([]byte, error) { return conversations(ctx, data, dir, threads) }},
	} {
		file := filepath.Join(work, "texts", d.name+".txt")
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			if text, err = d.make(); err == nil {
				err = errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), checkpoint.WriteFileAtomic(file, text))
			}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, compare.Text{Name: d.name, Content: string(text)})
	}
	return out, nil
}

// lines returns the whole lines of text that fit into n bytes.
func lines(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	return text[:bytes.LastIndexByte(text[:n], '\n')+1]
}

// weave joins the beginnings of the sources in rounds, a piece of each in turn.
func weave(sources [][]byte) []byte {
	var pieces [][]byte
	for range rounds {
		for i, s := range sources {
			if p := lines(s, pieceBytes); len(p) > 0 {
				pieces, sources[i] = append(pieces, p), s[len(p):]
			}
		}
	}
	return bytes.Join(pieces, []byte("\n"))
}

func wiki(data string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(data, "text", "wikitext-2", "wiki.test.raw"))
	return lines(text, wikiBytes), err
}

// books are the middles of the books in the file of held-out ones.
func books(data string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(data, "text", "books-valid.txt"))
	if err != nil {
		return nil, err
	}
	var middles [][]byte
	for b := range bytes.SplitSeq(text, []byte("\n\n\n")) {
		if b = bytes.TrimSpace(b); len(b) < shortest {
			continue
		}
		_, middle, _ := bytes.Cut(b[len(b)/2-rounds*pieceBytes/2:], []byte("\n"))
		middles = append(middles, middle)
	}
	return weave(middles), nil
}

func code() ([]byte, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	var files [][]byte
	for _, f := range codeFiles {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", filepath.FromSlash(f)))
		if err != nil {
			return nil, err
		}
		files = append(files, text)
	}
	return weave(files), nil
}

// questions are taken evenly from the tasks, one of each in turn.
func questions(data string) (out []string, err error) {
	sets := make([][]string, len(questionSets))
	for i, name := range questionSets {
		file := filepath.Join(data, "tasks", name+".jsonl")
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(text) {
			var q struct{ Query string }
			if err := json.Unmarshal(line, &q); err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", file, len(sets[i])+1, err)
			}
			sets[i] = append(sets[i], strings.TrimSpace(strings.TrimPrefix(q.Query, "Question: ")))
		}
		if len(sets[i]) < eachSet {
			return nil, fmt.Errorf("%s: has %d questions, expected at least %d", file, len(sets[i]), eachSet)
		}
	}
	for i := range eachSet {
		for _, s := range sets {
			out = append(out, s[i*len(s)/eachSet])
		}
	}
	return out, nil
}

// conversations are the questions with the most likely answers of the model in dir, in the form
// of its chat template.
func conversations(ctx context.Context, data, dir string, threads int) ([]byte, error) {
	asked, err := questions(data)
	if err != nil {
		return nil, err
	}
	m, err := specquant.Open(dir, specquant.Options{Threads: threads})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	template, err := chat.Load(dir)
	if err != nil {
		return nil, err
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		return nil, err
	}
	end := ""
	if id, ok := template.EndOfTurn(tok); ok {
		end = tok.Token(id)
	}
	var out bytes.Buffer
	for _, q := range asked {
		prompt, err := template.Render(ctx, chat.Request{Messages: []chat.Message{{Role: "user", Content: q}}})
		if err != nil {
			return nil, err
		}
		out.WriteString(prompt.Text())
		c, err := m.NewChat(specquant.ChatOptions{})
		if err != nil {
			return nil, err
		}
		for t, err := range c.Say(ctx, q, specquant.GenerateOptions{MaxTokens: answerLimit}) {
			if err != nil {
				return nil, err
			}
			out.WriteString(t.Text)
		}
		out.WriteString(end + "\n")
	}
	return out.Bytes(), nil
}
