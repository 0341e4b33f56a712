// Package plural writes a number with the noun that it counts: "1 token", "2 tokens". All messages use it, so that none says "1 tokens".
package plural

import "strconv"

// Of is n and the noun, which gets an s unless n is 1. A noun whose plural differs by more is followed by that: Of(n, "query", "queries"), or Of(n, "block is", "blocks are").
func Of[N int | int32 | int64 | uint32 | uint64](n N, one string, many ...string) string {
	text := strconv.FormatUint(uint64(max(n, 0)), 10)
	if n < 0 {
		text = strconv.FormatInt(int64(n), 10)
	}
	switch {
	case n == 1:
		return text + " " + one
	case len(many) > 0:
		return text + " " + many[0]
	}
	return text + " " + one + "s"
}
