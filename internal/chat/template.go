package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/jinja"
)

// ErrNone says that a model has no chat template: it continues text, and was not
// trained to answer.
var ErrNone = errors.New("the model has no chat template")

// maxFile bounds the files that are read, in bytes.
const maxFile = 16 << 20

// Template is a model's chat template. It does not change and may be used by any number
// of goroutines.
type Template struct {
	Source string // of the template that is used without tools
	From   string // the file that it came from, or what the caller of New named

	program   *jinja.Program
	tools     *jinja.Program // the one named tool_use; nil: the same
	allSource string
	tokens    map[string]string // bos_token and the like, by name

	knowsTools func() bool
}

// All is the source of all templates that may be used, one behind the other.
func (t *Template) All() string { return t.allSource }

// KnowsTools says whether the template shows the model what tools there are.
func (t *Template) KnowsTools() bool { return t.knowsTools() }

// Source is where a template comes from, as text.
type Source struct {
	Templates map[string]string // by name; "default" and "tool_use" are used, a single one may have any name
	Tokens    map[string]string // text of the special tokens by name: bos_token, eos_token, pad_token, unk_token
	From      string            // for error messages
}

// New makes a template of its text, as a GGUF file or a caller gives it.
func New(s Source) (*Template, error) {
	t := &Template{From: s.From, tokens: s.Tokens}
	if len(s.Templates) == 0 {
		return nil, ErrNone
	}
	source, ok := s.Templates["default"]
	if !ok {
		names := make([]string, 0, len(s.Templates))
		for n := range s.Templates {
			names = append(names, n)
		}
		sort.Strings(names)
		if len(names) > 1 {
			return nil, fmt.Errorf("%s: chat templates %s; expected one named default", s.From, strings.Join(names, ", "))
		}
		source = s.Templates[names[0]]
	}
	var err error
	if t.program, err = jinja.Parse(source); err != nil {
		return nil, fmt.Errorf("%s: %w", s.From, err)
	}
	t.Source, t.allSource = source, source
	if tools, ok := s.Templates["tool_use"]; ok {
		if t.tools, err = jinja.Parse(tools); err != nil {
			return nil, fmt.Errorf("%s: template tool_use: %w", s.From, err)
		}
		t.allSource += tools
	}
	t.knowsTools = sync.OnceValue(t.showsTools)
	return t, nil
}

// showsTools tries it.
func (t *Template) showsTools() bool {
	const name = "lorem_ipsum"
	tool := json.RawMessage(`{"type": "function", "function": {"name": "` + name + `", "description": "Q", "parameters": {"type": "object", "properties": {}}}}`)
	p, err := t.Render(context.Background(), Request{Messages: []Message{{Role: "user", Content: "Q"}}, Tools: []json.RawMessage{tool}})
	return err == nil && strings.Contains(p.Text(), name)
}

// Load finds the chat template of a model's folder: chat_template.jinja, else
// chat_template in tokenizer_config.json (one, or several with names), else
// chat_template.json. [ErrNone] says that there is none.
func Load(dir string) (*Template, error) {
	s := Source{Templates: map[string]string{}, Tokens: map[string]string{}}
	if st, err := input.Stat(dir); err == nil && !st.IsDir() {
		return nil, ErrNone
	}
	config, err := read(dir, "tokenizer_config.json")
	if err != nil {
		return nil, err
	}
	if config != nil {
		if err := s.fromConfig(config); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "tokenizer_config.json"), err)
		}
		s.From = filepath.Join(dir, "tokenizer_config.json")
	}
	specials, err := read(dir, "special_tokens_map.json")
	if err != nil {
		return nil, err
	}
	if specials != nil {
		if err := s.addTokens(specials); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "special_tokens_map.json"), err)
		}
	}
	file, err := read(dir, "chat_template.jinja")
	if err != nil {
		return nil, err
	}
	if file != nil {
		s.Templates, s.From = map[string]string{"default": string(file)}, filepath.Join(dir, "chat_template.jinja")
		if err := input.PlainText(file); err != nil {
			return nil, fmt.Errorf("%s: %w", s.From, err)
		}
	}
	if len(s.Templates) == 0 {
		if file, err = read(dir, "chat_template.json"); err != nil {
			return nil, err
		}
		if file != nil {
			s.From = filepath.Join(dir, "chat_template.json")
			if err := s.fromConfig(file); err != nil {
				return nil, fmt.Errorf("%s: %w", s.From, err)
			}
		}
	}
	return New(s)
}

// fromConfig reads chat_template and the special tokens of a tokenizer_config.json.
func (s *Source) fromConfig(data []byte) error {
	var c struct {
		Template json.RawMessage `json:"chat_template"`
	}
	if err := input.JSON(data, &c); err != nil {
		return err
	}
	var one string
	var several []struct{ Name, Template string }
	switch {
	case len(c.Template) == 0 || string(c.Template) == "null":
	case json.Unmarshal(c.Template, &one) == nil:
		s.Templates["default"] = one
	case json.Unmarshal(c.Template, &several) == nil:
		for _, t := range several {
			s.Templates[t.Name] = t.Template
		}
	default:
		return errors.New("chat_template is neither a string nor a list of templates with name and template")
	}
	return s.addTokens(data)
}

// addTokens reads the texts of special tokens, where they are not known yet.
func (s *Source) addTokens(data []byte) error {
	var all map[string]json.RawMessage
	if err := input.JSON(data, &all); err != nil {
		return err
	}
	for name, raw := range all {
		if !strings.HasSuffix(name, "_token") || s.Tokens[name] != "" {
			continue
		}
		var text string
		var object struct{ Content string }
		switch {
		case json.Unmarshal(raw, &text) == nil:
			s.Tokens[name] = text
		case json.Unmarshal(raw, &object) == nil:
			s.Tokens[name] = object.Content
		case specialTokens[name]:
			return fmt.Errorf("field %q: found %.40s, expected a token: a string, or an object with its content", name, raw)
		}
	}
	return nil
}

// specialTokens are the names of the tokens that a tokenizer may have. Other names that end alike,
// such as add_bos_token, are settings.
var specialTokens = map[string]bool{"bos_token": true, "eos_token": true, "unk_token": true, "sep_token": true, "pad_token": true, "cls_token": true, "mask_token": true}

// read gives a file of the folder; nil: it is not there.
func read(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	data, err := input.ReadFile(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
