package tokenizer

import "unicode/utf8"

// junctions knows which characters are adjacent inside some token that can result from
// merging. No merge ever joins any other two characters, so the text can be cut between
// them and each part encoded (and cached) separately with the same ids. This makes
// vocabularies without a pre-tokenizer fast: for Llama-2 the parts are the words.
type junctions struct {
	known func(rune) bool
	ascii [utf8.RuneSelf][utf8.RuneSelf]bool
	pairs map[[2]rune]struct{}
}

func newJunctions(known func(rune) bool) *junctions {
	return &junctions{known: known, pairs: make(map[[2]rune]struct{})}
}

// add records the adjacent characters of a token's text.
func (j *junctions) add(token string) {
	prev := rune(-1)
	for _, r := range token {
		if prev >= 0 {
			if prev < utf8.RuneSelf && r < utf8.RuneSelf {
				j.ascii[prev][r] = true
			} else {
				j.pairs[[2]rune{prev, r}] = struct{}{}
			}
		}
		prev = r
	}
}

// apart reports whether text may be cut between a and b. Two characters without a symbol
// are not separated, because a run of them may become one id.
func (j *junctions) apart(a, b rune) bool {
	if a < utf8.RuneSelf && b < utf8.RuneSelf {
		if j.ascii[a][b] {
			return false
		}
	} else if _, ok := j.pairs[[2]rune{a, b}]; ok {
		return false
	}
	return j.known(a) || j.known(b)
}

func (j *junctions) cut(text string, emit func(string) error) error {
	start, prev := 0, rune(-1)
	for i, r := range text {
		if prev >= 0 && j.apart(prev, r) {
			if err := emit(text[start:i]); err != nil {
				return err
			}
			start = i
		}
		prev = r
	}
	if start == len(text) {
		return nil
	}
	return emit(text[start:])
}
