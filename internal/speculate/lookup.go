package speculate

// Prompt lookup (Saxena, 2023): what a text goes on with is guessed from what followed the
// last time when it said the same. Texts that quote, edit or repeat are guessed well.

// Lengths of what must be the same, and of a guess, in tokens.
const (
	minRepeat = 2
	maxRepeat = 8 // longer ones count as this long
	maxGuess  = 7
)

// lookup gives up to most tokens that may come behind text+[next], and how many tokens
// before them are the same as at the place that they are taken from. Of several places
// where as many are the same the last one counts.
func lookup(text []int, next, most int) (tokens []int, repeat int) {
	at := -1
	for p := len(text) - 1; p >= 0 && repeat < maxRepeat; p-- {
		if text[p] != next {
			continue
		}
		n := 1
		for n < maxRepeat && n <= p && text[p-n] == text[len(text)-n] {
			n++
		}
		if n > repeat && n >= minRepeat && p+1 <= len(text) {
			at, repeat = p+1, n
		}
	}
	if at < 0 {
		return nil, 0
	}
	for k := range most { // what is guessed may itself be gone on with: texts that go in circles
		i := at + k
		switch {
		case i < len(text):
			tokens = append(tokens, text[i])
		case i == len(text):
			tokens = append(tokens, next)
		default:
			tokens = append(tokens, tokens[i-len(text)-1])
		}
	}
	return tokens, repeat
}
