package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is searched for in the text itself, before the model tokenizes
// it. The flags are those of Hugging Face's AddedToken.
type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // matched only if not adjacent to a word character
	LStrip     bool   `json:"lstrip"`      // includes the white space to its left
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"` // searched for after normalization, in normalized form
	Special    bool   `json:"special"`    // skipped by Decode
}

// matcher finds added tokens with a trie of bytes: the leftmost first, and of those at one
// place the longest. A nil matcher finds nothing.
type matcher struct {
	first [256]bool
	nodes []trieNode
}

type trieNode struct {
	next  map[byte]int32
	token *addedToken
}

// newMatcher builds a matcher; text returns the form in which a token is searched for. If
// two tokens have the same form, the second one is returned as dup.
func newMatcher(tokens []addedToken, text func(addedToken) string) (m *matcher, dup *addedToken) {
	if len(tokens) == 0 {
		return nil, nil
	}
	m = &matcher{nodes: []trieNode{{}}}
	for i := range tokens {
		s := text(tokens[i])
		if s == "" {
			continue
		}
		m.first[s[0]] = true
		at := int32(0)
		for k := 0; k < len(s); k++ {
			to, ok := m.nodes[at].next[s[k]]
			if !ok {
				to = int32(len(m.nodes))
				m.nodes = append(m.nodes, trieNode{})
				if m.nodes[at].next == nil {
					m.nodes[at].next = make(map[byte]int32)
				}
				m.nodes[at].next[s[k]] = to
			}
			at = to
		}
		if m.nodes[at].token != nil {
			return nil, &tokens[i]
		}
		m.nodes[at].token = &tokens[i]
	}
	return m, nil
}

// longest returns the longest token that text has at byte start and its length, among those
// that g allows there.
func (m *matcher) longest(text string, start int, g *guard) (*addedToken, int) {
	s := text[start:]
	var found *addedToken
	n, at := 0, int32(0)
	for i := 0; i < len(s); i++ {
		to, ok := m.nodes[at].next[s[i]]
		if !ok {
			break
		}
		at = to
		if tok := m.nodes[at].token; tok != nil && !g.refusesAt(tok, start, start+i+1) {
			found, n = tok, i+1
		}
	}
	return found, n
}

// split calls emit for each part of text in order: plain text with id -1, or an added token
// with its id. at is the offset of the part. Tokens that g refuses are plain text.
func (m *matcher) split(text string, g *guard, emit func(part string, at, id int) error) error {
	if text == "" {
		return nil
	}
	done, spaceEnd := 0, 0
	if m != nil {
		for i := 0; i < len(text); {
			if !m.first[text[i]] {
				i++
				continue
			}
			tok, n := m.longest(text, i, g)
			if tok == nil {
				i++
				continue
			}
			start, stop := i, i+n
			i = stop
			if tok.Special && g != nil && g.all {
				continue
			}
			if tok.SingleWord && (endsInWord(text[:start]) || beginsWord(text[stop:])) {
				continue
			}
			if tok.LStrip {
				// No further back than the last token, so that white space is scanned only
				// once.
				if start > done {
					start = done + trimRightSpace(text[done:start])
				} else {
					start = done
				}
			}
			if tok.RStrip {
				// A token within white space that has been scanned already ends with it.
				if stop >= spaceEnd {
					spaceEnd = stop + leadingSpace(text[stop:])
				}
				stop = spaceEnd
			}
			if done < start {
				if err := emit(text[done:start], done, -1); err != nil {
					return err
				}
			}
			if err := emit("", start, tok.ID); err != nil {
				return err
			}
			done = stop
		}
	}
	if done >= len(text) {
		return nil
	}
	return emit(text[done:], done, -1)
}

// trimRightSpace returns the length of s without white space at its end.
func trimRightSpace(s string) int {
	for len(s) > 0 {
		r, n := utf8.DecodeLastRuneInString(s)
		if !unicode.IsSpace(r) {
			break
		}
		s = s[:len(s)-n]
	}
	return len(s)
}

// leadingSpace returns the length of the white space that s begins with.
func leadingSpace(s string) int {
	for i, r := range s {
		if !unicode.IsSpace(r) {
			return i
		}
	}
	return len(s)
}

func endsInWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

func beginsWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

// isWord is \w of Unicode regular expressions (UTS 18, Annex C), the definition that
// single_word uses.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.In(r, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
