package tokenizer

import "fmt"

// maxCuts bounds the work of enumerating the ways to split tokens in two: the sum of the
// squares of their lengths in bytes. For published vocabularies it is below 2²⁵.
const maxCuts = 1 << 31

// checkCuts returns an error if there are too many ways to split the tokens.
func checkCuts(lengths func(yield func(int) bool)) error {
	sum := 0
	for n := range lengths {
		if sum += n * n; sum > maxCuts {
			return fmt.Errorf("the tokens are too long in total: the sum of the squares of their lengths in bytes is over %d, the limit", maxCuts)
		}
	}
	return nil
}
