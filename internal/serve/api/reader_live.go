package api

import "regexp"

// live is what has been passed on of the calls that begin a reader's pending text, while
// they are being written.
type live struct {
	at     int  // up to here: of pending
	made   int  // calls, of which the last may be incomplete
	within bool // the last call's arguments are being written, which are an object
	depth  int  // of braces and brackets in them
	quoted bool // within a string
	escape bool // behind its backslash
}

// callHead is what stands before a call's arguments, as the constraint has it.
var callHead = regexp.MustCompile(`^[\s,;\[]*\{\s*"name"\s*:\s*"([^"\\]*)"\s*,\s*"(?:arguments|parameters)"\s*:\s*\{`)

// stream passes on what there is of calls that are certain: the name, and pieces of the
// arguments.
func (r *reader) stream(e *event) {
	for {
		l := &r.live
		if !l.within {
			m := callHead.FindStringSubmatchIndex(r.pending[l.at:])
			if m == nil || !r.names[r.pending[l.at+m[2]:l.at+m[3]]] {
				return
			}
			r.add([]toolCall{r.calls.newCall(r.pending[l.at+m[2]:l.at+m[3]], "")}, e)
			l.at += m[1] - 1
			l.made++
			l.within, l.depth, l.quoted, l.escape = true, 0, false, false
		}
		n := l.scan(r.pending[l.at:])
		if n > 0 {
			if last := len(e.calls) - 1; last < 0 || e.calls[last].Index != r.made-1 {
				e.calls = append(e.calls, toolCall{Index: r.made - 1})
			}
			e.calls[len(e.calls)-1].Function.Arguments += r.pending[l.at : l.at+n]
			l.at += n
		}
		if l.within {
			return
		}
	}
}

// scan is how many bytes of a text belong to the arguments. It sets within to false where
// they have come to their end.
func (l *live) scan(text string) int {
	for i := range len(text) {
		c := text[i]
		switch {
		case l.escape:
			l.escape = false
		case l.quoted:
			l.escape, l.quoted = c == '\\', c != '"'
		case c == '"':
			l.quoted = true
		case c == '{' || c == '[':
			l.depth++
		case c == '}' || c == ']':
			if l.depth--; l.depth == 0 {
				l.within = false
				return i + 1
			}
		}
	}
	return len(text)
}
