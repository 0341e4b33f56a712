package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/reeflective/readline"
	"golang.org/x/term"

	"github.com/specquant/specquant/internal/plural"
)

// chatInput is a source of messages.
type chatInput interface {
	// Read returns the next message. The error is io.EOF at the end, and errInterrupted if
	// the user discarded a line.
	Read() (string, error)
	Terminal() bool
	Close() error
}

var errInterrupted = errors.New("interrupted")

// blockMark begins and ends a message of several lines.
const blockMark = `"""`

// newChatInput reads from the terminal with line editing and history, or line by line from
// standard input if that is no terminal.
func newChatInput(e *env) chatInput {
	if e.in == nil || !isTerminalInput(e.in) || !e.isTerm || !isTerminal(os.Stdout) { // the editor draws on standard output
		in := e.in
		if in == nil {
			in = strings.NewReader("")
		}
		return &lineInput{bufio.NewReader(in)}
	}
	t := &terminalInput{shell: readline.NewShell()}
	t.before, _ = term.GetState(int(os.Stdin.Fd()))
	t.shell.Prompt.Primary(func() string { return ">>> " })
	t.shell.Prompt.Secondary(func() string { return "... " })
	t.shell.AcceptMultiline = func(line []rune) bool { return blockClosed(string(line)) }
	t.shell.Config.Set("enable-bracketed-paste", true)
	t.shell.Completer = completeChat
	if path := historyFile(); path != "" {
		t.shell.History.AddFromFile("chat", path)
	}
	return t
}

// historyFile is the file that keeps typed lines; "" if the user has no folder for it or
// SPECQUANT_HISTORY is "none".
func historyFile() string {
	if path := os.Getenv("SPECQUANT_HISTORY"); path == "none" {
		return ""
	} else if path != "" {
		return path
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	dir = filepath.Join(dir, "specquant")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	path := filepath.Join(dir, "chat-history")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return ""
	}
	f.Close()
	return path
}

// blockClosed reports whether a message is complete: the number of block marks is even.
func blockClosed(text string) bool { return strings.Count(text, blockMark)%2 == 0 }

// unblock removes the block marks around a message.
func unblock(text string) string {
	t := strings.TrimSpace(text)
	if len(t) >= 2*len(blockMark) && strings.HasPrefix(t, blockMark) && strings.HasSuffix(t, blockMark) {
		return strings.Trim(t[len(blockMark):len(t)-len(blockMark)], "\n")
	}
	return text
}

// terminalInput is a person at a terminal.
type terminalInput struct {
	shell  *readline.Shell
	before *term.State // of the terminal
}

func (t *terminalInput) Terminal() bool { return true }

// Close leaves the terminal as it was, even in the middle of a line.
func (t *terminalInput) Close() error {
	if t.before == nil {
		return nil
	}
	return term.Restore(int(os.Stdin.Fd()), t.before)
}

func (t *terminalInput) Read() (string, error) {
	text, err := t.shell.Readline()
	switch {
	case errors.Is(err, readline.ErrInterrupt):
		return "", errInterrupted
	case errors.Is(err, io.EOF):
		fmt.Fprintln(os.Stderr)
		return "", io.EOF
	}
	return unblock(text), err
}

// completeChat completes commands in a line that begins with a slash.
func completeChat(line []rune, cursor int) readline.Completions {
	if len(line) == 0 || line[0] != '/' || strings.ContainsRune(string(line[:cursor]), ' ') {
		return readline.Completions{}
	}
	var values []string
	for _, c := range chatCommands {
		values = append(values, "/"+c.name, c.help)
	}
	return readline.CompleteValuesDescribed(values...)
}

// lineInput is a file or a pipe: each line, or block between marks, is a message.
type lineInput struct{ r *bufio.Reader }

func (l *lineInput) Terminal() bool { return false }
func (l *lineInput) Close() error   { return nil }

func (l *lineInput) Read() (string, error) {
	var b strings.Builder
	for {
		line, err := l.r.ReadSlice('\n')
		b.Write(line)
		if b.Len() > maxQuestion {
			return "", fmt.Errorf("a message on standard input has more than %s, the limit", plural.Of(maxQuestion, "byte"))
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && b.Len() == 0 {
			return "", err
		}
		text := b.String()
		if err == nil && !blockClosed(text) {
			continue
		}
		if !blockClosed(text) {
			return "", fmt.Errorf("standard input ends inside a message that begins with %s; close it with the same mark", blockMark)
		}
		return unblock(strings.TrimRight(text, "\r\n")), nil
	}
}
