package tokenizer

import "unicode/utf8"

// junctions knows which characters stand side by side inside some token that
// merging can make. Between two others no merge ever reaches across, so the
// text can be cut there and each part encoded (and cached) by itself with the
// same ids. It is what makes vocabularies without a pre-tokenizer fast: for
// Llama-2 it finds the words.
type junctions struct {
	known func(rune) bool
	ascii [utf8.RuneSelf][utf8.RuneSelf]bool
	pairs map[[2]rune]struct{}
}

func newJunctions(known func(rune) bool) *junctions {
	return &junctions{known: known, pairs: make(map[[2]rune]struct{})}
}

// add notes the neighbours inside a token's text.
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

// apart says whether text may be cut between a and b. Two characters without
// a symbol stay together: a run of them may give one id.
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
