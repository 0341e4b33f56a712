package main

import (
	"fmt"
	"strings"

	"github.com/specquant/specquant/internal/plural"
)

// mostKinds is how many kinds of tensors a list of leftovers shows.
const mostKinds = 12

// foldNames shortens a list of tensors: those whose names differ only in numbers, such as the
// block's, share a line with their count. The lines are in the order of the first name of each
// kind.
func foldNames(names []string) []string {
	kinds := map[string][]string{}
	var order []string
	for _, n := range names {
		parts := strings.Split(n, ".")
		for i, p := range parts {
			if p != "" && strings.Trim(p, "0123456789") == "" {
				parts[i] = "N"
			}
		}
		kind := strings.Join(parts, ".")
		if kinds[kind] == nil {
			order = append(order, kind)
		}
		kinds[kind] = append(kinds[kind], n)
	}
	var lines []string
	for i, kind := range order {
		if i == mostKinds {
			lines = append(lines, fmt.Sprintf("and %s", plural.Of(len(order)-i, "more kind")))
			break
		}
		if all := kinds[kind]; len(all) > 1 {
			lines = append(lines, fmt.Sprintf("%s (%d)", kind, len(all)))
		} else {
			lines = append(lines, all[0])
		}
	}
	return lines
}
