package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// chatCommands lists the commands, which are lines that begin with a slash.
var chatCommands []struct{ name, args, help string }

func init() { // completion refers to it
	chatCommands = []struct{ name, args, help string }{
		{"help", "", "Show this."},
		{"system", "[TEXT]", "Show or set the system message; the conversation goes on."},
		{"reset", "", "Forget the conversation."},
		{"undo", "", "Take the last question and its answer back."},
		{"retry", "[SEED]", "Answer the last question again, with the next seed or this one."},
		{"save", "FILE", "Write the conversation to a file."},
		{"load", "FILE", "Go on with a conversation that was saved."},
		{"set", "[NAME VALUE]", "Show or change how answers are drawn."},
		{"stats", "", "Show the figures of the last answer."},
		{"bye", "", "Leave; so does Ctrl-D."},
	}
}

// command executes a line that begins with a slash.
func (s *chatSession) command(line string) (leave bool, err error) {
	name, arg, _ := strings.Cut(strings.TrimPrefix(line, "/"), " ")
	arg = strings.TrimSpace(arg)
	switch name {
	case "help", "?":
		for _, c := range chatCommands {
			fmt.Fprintf(s.err, "  %-22s %s\n", "/"+strings.TrimSpace(c.name+" "+c.args), c.help)
		}
		fmt.Fprintf(s.err, "  Enclose a message of several lines in %s and %s; pasted lines stay together. Ctrl-C stops an answer.\n", blockMark, blockMark)
	case "system":
		if arg == "" {
			fmt.Fprintln(s.err, orNone(s.chat.System()))
			return false, nil
		}
		s.chat.SetSystem(unblock(arg))
	case "reset":
		s.chat.SetMessages(nil)
	case "undo":
		_, err = s.undo()
	case "retry":
		return false, s.retry(arg)
	case "save":
		err = s.save(arg)
	case "load":
		err = s.load(arg)
	case "set":
		err = s.set(arg)
	case "stats":
		st := s.chat.Stats()
		fmt.Fprintf(s.err, "%s%s; %d of %s from the cache; %s\n", statsLine(st, s.model.Context()), guessesText("; ", st.Speculation), st.CachedTokens, plural.Of(st.PromptTokens, "prompt token"), plural.Of(len(s.chat.Messages()), "message"))
	case "bye", "exit", "quit":
		return true, nil
	default:
		err = fmt.Errorf("there is no command /%s; /help lists them", name)
	}
	return false, err
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

// undo removes the last question and its answer and returns the question.
func (s *chatSession) undo() (string, error) {
	messages := s.chat.Messages()
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == "user" {
			s.chat.SetMessages(messages[:i])
			return messages[i].Content, nil
		}
	}
	return "", errors.New("there is no question to take back")
}

func (s *chatSession) retry(arg string) error {
	seed := s.flags.Seed + 1
	if arg != "" {
		var err error
		if seed, err = strconv.ParseUint(arg, 10, 64); err != nil {
			return fmt.Errorf("/retry %s: expected a seed, a number", arg)
		}
	}
	question, err := s.undo()
	if err != nil {
		return err
	}
	s.flags.Seed = seed
	return s.ask(question)
}

// saved is a conversation on disk.
type saved struct {
	Model    string              `json:"model,omitempty"`
	System   string              `json:"system,omitempty"`
	Messages []specquant.Message `json:"messages"`
}

func (s *chatSession) save(path string) error {
	if path == "" {
		return errors.New("/save needs the name of a file")
	}
	data, err := json.MarshalIndent(saved{s.name, s.chat.System(), s.chat.Messages()}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already; name another file", path)
	}
	if err != nil {
		return err
	}
	if _, err = f.Write(append(data, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func (s *chatSession) load(path string) error {
	if path == "" {
		return errors.New("/load needs the name of a file")
	}
	data, err := input.ReadFile(path, input.MaxSmall)
	if err != nil {
		return err
	}
	var c saved
	if err := input.JSON(data, &c); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for i, m := range c.Messages {
		if m.Role != "user" && m.Role != "assistant" || !utf8.ValidString(m.Content) {
			return fmt.Errorf("%s: message %d has role %q; expected user or assistant", path, i+1, m.Role)
		}
	}
	s.chat.SetMessages(c.Messages)
	s.chat.SetSystem(c.System)
	fmt.Fprintf(s.err, "%s\n", plural.Of(len(c.Messages), "message"))
	return nil
}

// settings are what /set can change: a pointer to each value.
func (s *chatSession) settings() map[string]any {
	f := &s.flags
	return map[string]any{"temp": &f.Temp, "top-k": &f.TopK, "top-p": &f.TopP, "min-p": &f.MinP, "typical": &f.Typical, "seed": &f.Seed,
		"repeat-penalty": &f.RepeatPenalty, "presence-penalty": &f.PresencePenalty, "frequency-penalty": &f.FrequencyPenalty, "repeat-last-n": &f.RepeatLastN,
		"dry-multiplier": &f.DryMultiplier, "max-tokens": &s.maxTokens, "think": &s.think}
}

func (s *chatSession) set(arg string) error {
	all := s.settings()
	name, value, _ := strings.Cut(arg, " ")
	value = strings.TrimSpace(value)
	if name == "" {
		names := make([]string, 0, len(all))
		for n := range all {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			fmt.Fprintf(s.err, "  %-18s %v\n", n, settingText(all[n]))
		}
		return nil
	}
	p, ok := all[name]
	if !ok {
		return fmt.Errorf("there is no setting %s; /set lists them", name)
	}
	if value == "" {
		fmt.Fprintf(s.err, "  %-18s %v\n", name, settingText(p))
		return nil
	}
	before, beforeMax, beforeThink := s.flags, s.maxTokens, s.think
	var err error
	switch p := p.(type) {
	case *float64:
		*p, err = strconv.ParseFloat(value, 64)
	case *int:
		*p, err = strconv.Atoi(value)
	case *uint64:
		*p, err = strconv.ParseUint(value, 10, 64)
	case *string:
		if *p = value; value != "on" && value != "off" && value != "auto" {
			err = errors.New("expected on, off or auto")
		}
	}
	if err == nil {
		err = s.flags.options().Check()
	}
	if err == nil && s.maxTokens < 0 {
		err = errors.New("expected a number of tokens, or 0")
	}
	if err != nil {
		s.flags, s.maxTokens, s.think = before, beforeMax, beforeThink
		return fmt.Errorf("/set %s %s: %w", name, value, err)
	}
	s.applyThink()
	return nil
}

func settingText(p any) any {
	switch p := p.(type) {
	case *float64:
		return *p
	case *int:
		return *p
	case *uint64:
		return *p
	case *string:
		return *p
	}
	return ""
}

// applyThink sets the variables with which templates turn reasoning on or off.
func (s *chatSession) applyThink() {
	var v map[string]json.RawMessage
	if s.think != "auto" {
		value := json.RawMessage(strconv.FormatBool(s.think == "on"))
		v = map[string]json.RawMessage{"enable_thinking": value, "thinking": value}
	}
	s.chat.SetVariables(v)
}
