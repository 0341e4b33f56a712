package api

import (
	"strings"

	"github.com/specquant/specquant/internal/constrain"
)

// reading describes the parts that a chat's answer may consist of.
type reading struct {
	thinks  bool        // it may begin with reasoning between marks
	open    bool        // the prompt ends with the first mark
	calls   *callFormat // nil: no tools can be called
	begun   bool        // the prompt ends with what opens a call
	certain bool        // what begins as a call is one: nothing else can be written
	names   map[string]bool
	markers map[int]string // special tokens that are part of a format
}

// reader splits the text of one answer, while it is generated, into reasoning, answer and tool
// calls.
type reader struct {
	*reading
	state   part
	pending string // held back
	trim    bool   // leave out white space that follows
	said    bool   // the answer has text already
	looked  int    // up to where pending was searched for the end of a call
	made    int    // calls
	live    live   // of a call that is certain
}

type part int

const (
	beginning part = iota
	thinking
	saying
	calling
	fencing
)

// fence is what stands around code in Markdown, which some models write calls in.
const fence = "```"

func newReader(r *reading) *reader {
	switch {
	case r.begun:
		return &reader{reading: r, state: calling, pending: r.calls.open, looked: len(r.calls.open), live: live{at: len(r.calls.open)}}
	case r.open:
		return &reader{reading: r, state: thinking, trim: true}
	}
	return &reader{reading: r}
}

// blanks is the white space that is left out at the ends of parts.
const blanks = " \t\r\n"

// push adds new text; end means that no more will come. The output is added to an event.
func (r *reader) push(text string, end bool, e *event) {
	r.pending += text
	for r.step(end, e) {
	}
}

// step processes the pending text. again means that another part has begun.
func (r *reader) step(end bool, e *event) (again bool) {
	if r.trim {
		if r.pending = strings.TrimLeft(r.pending, blanks); r.pending == "" {
			return false
		}
		r.trim = false
	}
	switch r.state {
	case beginning:
		text := strings.TrimLeft(r.pending, blanks)
		switch {
		case r.thinks && strings.HasPrefix(text, constrain.ThinkOpen):
			r.pending, r.state, r.trim = text[len(constrain.ThinkOpen):], thinking, true
			return true
		case r.thinks && strings.HasPrefix(constrain.ThinkOpen, text) && !end:
			return false
		}
		r.state = saying
		return true
	case thinking:
		at := strings.Index(r.pending, constrain.ThinkClose)
		if at < 0 {
			e.reasoning += r.release(end, constrain.ThinkClose)
			return false
		}
		e.reasoning += strings.TrimRight(r.pending[:at], blanks)
		r.pending, r.state, r.trim = r.pending[at+len(constrain.ThinkClose):], saying, true
		return true
	case saying:
		return r.say(end, e)
	case fencing:
		return r.fenced(end, e)
	}
	return r.call(end, e)
}

// say looks for the beginning of a call.
func (r *reader) say(end bool, e *event) (again bool) {
	f := r.calls
	if f == nil {
		e.text += r.pending
		r.pending = ""
		return false
	}
	at := -1
	if f.open != "" {
		at = strings.Index(r.pending, f.open)
	} else if !r.said {
		text := strings.TrimLeft(r.pending, blanks)
		if text == "" && !end {
			return false
		}
		if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
			at = len(r.pending) - len(text)
		}
	}
	if k := strings.Index(r.pending, fence); k >= 0 && (at < 0 || k < at) {
		k = len(strings.TrimRight(r.pending[:k], blanks))
		r.say1(r.pending[:k], e)
		r.pending, r.state = r.pending[k:], fencing
		return true
	}
	if at >= 0 {
		e.text += strings.TrimRight(r.pending[:at], blanks)
		r.pending, r.state, r.looked, r.live = r.pending[at:], calling, len(f.open), live{at: len(f.open)}
		return true
	}
	marks := []string{fence}
	if f.open != "" {
		marks = append(marks, f.open)
	}
	r.say1(r.release(end, marks...), e)
	return false
}

// say1 says a text.
func (r *reader) say1(text string, e *event) {
	e.text += text
	r.said = r.said || text != ""
}

// release takes the pending text but for what may be the beginning of one of some marks,
// and the blanks before it.
func (r *reader) release(end bool, marks ...string) string {
	n := len(r.pending)
	if !end {
		most := 0
		for _, mark := range marks {
			for k := min(len(mark)-1, n); k > most; k-- {
				if strings.HasSuffix(r.pending, mark[:k]) {
					most = k
				}
			}
		}
		n = len(strings.TrimRight(r.pending[:n-most], blanks))
	}
	out := r.pending[:n]
	r.pending = r.pending[n:]
	return out
}

// fenced takes calls out of a fence, which the pending text begins with, blanks apart: what
// is in it must be nothing but calls.
func (r *reader) fenced(end bool, e *event) (again bool) {
	start := strings.Index(r.pending, fence) + len(fence)
	head, body, whole := strings.Cut(r.pending[start:], "\n") // the first line names the language
	code := strings.TrimLeft(body, blanks)
	possible := len(head) < 32 && (!whole || code == "" || code[0] == '{' || code[0] == '[')
	at := strings.Index(body, fence)
	if possible && at < 0 && !end {
		return false
	}
	if inner := body[:max(at, 0)]; possible && at >= 0 {
		if calls := r.calls.parseJSON(strings.Trim(inner, blanks), r.names); calls != nil {
			r.add(calls, e)
			r.pending, r.state, r.trim = body[at+len(fence):], saying, true
			return true
		}
	}
	r.say1(r.pending[:start], e)
	r.pending, r.state = r.pending[start:], saying
	return true
}

// call looks for the end of a call. What is no call after all has been said.
func (r *reader) call(end bool, e *event) (again bool) {
	f := r.calls
	if r.certain {
		r.stream(e)
	}
	for f.close != "" {
		at := strings.Index(r.pending[r.looked:], f.close)
		if at < 0 {
			r.looked = max(r.looked, len(r.pending)-len(f.close)+1)
			break
		}
		at += r.looked
		r.looked = at + len(f.close)
		if calls := f.parse(r.pending[len(f.open):at], r.names); calls != nil {
			r.add(calls[min(r.live.made, len(calls)):], e)
			r.pending, r.state, r.trim = r.pending[r.looked:], saying, true
			return true
		}
	}
	if !end {
		return false
	}
	if calls := f.parse(r.pending[len(f.open):], r.names); calls != nil {
		r.add(calls[min(r.live.made, len(calls)):], e)
	} else if r.live.made == 0 {
		r.say1(r.pending, e)
	}
	r.pending, r.state = "", saying
	return false
}

func (r *reader) add(calls []toolCall, e *event) {
	for _, c := range calls {
		c.Index = r.made
		e.calls = append(e.calls, c)
		r.made++
	}
}
