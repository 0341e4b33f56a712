package main

import (
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// wordWrap breaks the lines of an answer between words at a terminal's width, as the answer
// comes. A word is held back until it is complete. Lines of code, in fences or indented, and
// of tables stay whole; so do words that are wider than the terminal.
type wordWrap struct {
	w     io.Writer
	width func() int // of the terminal in columns; 0: not known, nothing is broken

	begin  []rune // of the line as the model writes it, enough to tell what it is
	code   bool   // between fences
	column int    // on the screen
	indent int    // of the lines that a line is broken into: they align with its text
	spaces int    // held back before the word
	word   []rune
	ticks  int // backquotes in the word: inline code is one word
	err    error
}

// maxBegin is how much of a line is looked at: a fence, the mark of a list, indentation.
const maxBegin = 12

// terminalWidth is the width of the terminal that an output goes to; 0: it is none.
func terminalWidth(w io.Writer) int {
	if o, ok := w.(*output); ok {
		w = o.w
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// Write implements io.Writer. Text that has no complete last word is shown by the next call
// or by Flush.
func (p *wordWrap) Write(data []byte) (int, error) {
	for _, r := range string(data) {
		p.rune(r)
	}
	return len(data), p.err
}

// Flush writes what has been held back.
func (p *wordWrap) Flush() error {
	p.flush()
	p.spaces = 0
	return p.err
}

func (p *wordWrap) rune(r rune) {
	if len(p.begin) < maxBegin && r != '\n' {
		p.begin = append(p.begin, r)
	}
	switch {
	case r == '\n':
		p.flush()
		p.print("\n")
		if isFence(p.begin) {
			p.code = !p.code
		}
		p.begin, p.column, p.indent, p.spaces = p.begin[:0], 0, 0, 0
	case r == '\t':
		p.flush()
		p.print(strings.Repeat(" ", p.spaces) + "\t")
		p.column, p.spaces = (p.column+p.spaces)/8*8+8, 0
	case r == ' ' && p.ticks%2 == 1 && len(p.word) < p.width():
		p.word = append(p.word, r)
	case r == ' ':
		p.flush()
		p.spaces++
	default:
		if text.RuneWidth(r) == 2 { // Chinese and the like: a line may end anywhere
			p.flush()
		}
		if r == '`' {
			p.ticks++
		}
		p.word = append(p.word, r)
	}
}

// flush writes the word, on a new line if it does not fit.
func (p *wordWrap) flush() {
	if len(p.word) == 0 {
		return
	}
	wide := text.RuneWidthWithoutEscSequences(string(p.word))
	if p.column == 0 {
		p.indent = p.spaces
	}
	limit := p.width()
	if !p.whole() && p.column > p.indent && limit > 0 && p.column+p.spaces+wide > limit {
		p.print("\n" + strings.Repeat(" ", p.indent))
		p.column, p.spaces = p.indent, 0
	}
	p.print(strings.Repeat(" ", p.spaces) + string(p.word))
	listed := p.column == 0 && isListMark(p.word)
	p.column += p.spaces + wide
	if listed && p.column+1 <= limit/2 {
		p.indent = p.column + 1
	}
	p.word, p.ticks, p.spaces = p.word[:0], 0, 0
}

// whole reports whether the line must not be broken.
func (p *wordWrap) whole() bool {
	line := string(p.begin)
	first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	indented := strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t")
	return p.code || isFence(p.begin) || indented && !isListMark([]rune(first)) || strings.HasPrefix(first, "|")
}

func isFence(begin []rune) bool {
	line := strings.TrimLeft(string(begin), " ")
	return strings.HasPrefix(line, "```") || strings.HasPrefix(line, "~~~")
}

// isListMark reports whether a line's first word is the mark of a list: -, *, +, 1. or 1).
func isListMark(word []rune) bool {
	switch n := len(word); {
	case n == 1:
		return strings.ContainsRune("-*+•", word[0])
	case n >= 2 && n <= 4 && (word[n-1] == '.' || word[n-1] == ')'):
		for _, r := range word[:n-1] {
			if !unicode.IsDigit(r) {
				return false
			}
		}
		return true
	}
	return false
}

func (p *wordWrap) print(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s)
	}
}
