package api

import (
	"strings"

	"github.com/specquant/specquant/internal/constrain"
)

// reading says what a chat's answer may consist of.
type reading struct {
	thinks  bool        // it may begin with what the model thinks, within marks
	open    bool        // the prompt ends with the first of them
	calls   *callFormat // nil: no tools can be called
	begun   bool        // the prompt ends with what opens a call
	names   map[string]bool
	markers map[int]string // special tokens that are part of a format
}

// reader splits the text of one answer, as it comes, into what is thought, what is said,
// and calls of tools.
type reader struct {
	*reading
	state   part
	pending string // held back
	trim    bool   // blanks that come next are left out
	said    bool   // something has been said
	looked  int    // where in pending the end of a call has been looked for
	made    int    // calls
}

type part int

const (
	beginning part = iota
	thinking
	saying
	calling
)

func newReader(r *reading) *reader {
	switch {
	case r.begun:
		return &reader{reading: r, state: calling, pending: r.calls.open}
	case r.open:
		return &reader{reading: r, state: thinking, trim: true}
	}
	return &reader{reading: r}
}

// blanks are left out at the borders of parts.
const blanks = " \t\r\n"

// push takes text as it comes, and end where nothing more will. What is known of the
// text is added to an event.
func (r *reader) push(text string, end bool, e *event) {
	r.pending += text
	for r.step(end, e) {
	}
}

// step works on the pending text. again: another part has begun.
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
			e.reasoning += r.release(constrain.ThinkClose, end)
			return false
		}
		e.reasoning += strings.TrimRight(r.pending[:at], blanks)
		r.pending, r.state, r.trim = r.pending[at+len(constrain.ThinkClose):], saying, true
		return true
	case saying:
		return r.say(end, e)
	}
	return r.call(end, e)
}

// say looks for the beginning of a call.
func (r *reader) say(end bool, e *event) (again bool) {
	at := -1
	switch f := r.calls; {
	case f == nil:
	case f.open != "":
		at = strings.Index(r.pending, f.open)
	case !r.said:
		text := strings.TrimLeft(r.pending, blanks)
		if text == "" && !end {
			return false
		}
		if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
			at = len(r.pending) - len(text)
		}
	}
	if at >= 0 {
		e.text += strings.TrimRight(r.pending[:at], blanks)
		r.pending, r.state, r.looked = r.pending[at:], calling, len(r.calls.open)
		return true
	}
	text := r.pending
	if r.calls != nil && r.calls.open != "" {
		text = r.release(r.calls.open, end)
	} else {
		r.pending = ""
	}
	e.text += text
	r.said = r.said || text != ""
	return false
}

// release takes the pending text but for what may be the beginning of a mark, and the
// blanks before it.
func (r *reader) release(mark string, end bool) string {
	n := len(r.pending)
	if !end {
		for k := min(len(mark)-1, n); k > 0; k-- {
			if strings.HasSuffix(r.pending, mark[:k]) {
				n -= k
				break
			}
		}
		n = len(strings.TrimRight(r.pending[:n], blanks))
	}
	out := r.pending[:n]
	r.pending = r.pending[n:]
	return out
}

// call looks for the end of a call. What is no call after all has been said.
func (r *reader) call(end bool, e *event) (again bool) {
	f := r.calls
	for f.close != "" {
		at := strings.Index(r.pending[r.looked:], f.close)
		if at < 0 {
			r.looked = max(r.looked, len(r.pending)-len(f.close)+1)
			break
		}
		at += r.looked
		r.looked = at + len(f.close)
		if calls := f.parse(r.pending[len(f.open):at], r.names); calls != nil {
			r.add(calls, e)
			r.pending, r.state, r.trim = r.pending[r.looked:], saying, true
			return true
		}
	}
	if !end {
		return false
	}
	if calls := f.parse(r.pending[len(f.open):], r.names); calls != nil {
		r.add(calls, e)
	} else {
		e.text += r.pending
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
