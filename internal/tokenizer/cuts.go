package tokenizer

import "fmt"

// maxCuts bounds the work of finding the ways to cut tokens in two: the sum of the
// squares of their lengths in bytes. Published vocabularies are below 2²⁵.
const maxCuts = 1 << 31

// checkCuts refuses a vocabulary whose ways to cut tokens are too many.
func checkCuts(lengths func(yield func(int) bool)) error {
	sum := 0
	for n := range lengths {
		if sum += n * n; sum > maxCuts {
			return fmt.Errorf("the tokens are too long together: the sum of the squares of their lengths in bytes is over %d, the limit", maxCuts)
		}
	}
	return nil
}
