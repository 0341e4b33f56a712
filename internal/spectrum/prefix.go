package spectrum

import (
	"fmt"
	"sort"
)

// Prefix returns the smallest number of coefficients c, in whole components, with Σ_{i<c}
// z_i² ≥ (1−eps)·Σ_{i<limit} z_i²: the run-time truncation of a projected token z to the
// prefix that has all but the fraction eps of its energy.
//
// limit (at most len(z)) is the largest coefficient count in the truncation group. eps ≤ 0
// or NaN returns limit for every z, so that the result is bit-identical to no truncation;
// eps ≥ 1 and an all-zero z return 0; a z that is not finite returns limit.
func Prefix(z []float32, b Basis, eps float64, limit int) int {
	limit = min(max(limit, 0), len(z))
	if !(eps > 0) {
		return limit
	}
	var total float64
	for _, v := range z[:limit] {
		total += float64(v) * float64(v)
	}
	if !finite(total) {
		return limit
	}
	need := (1 - min(eps, 1)) * total
	var sum float64
	c := 0
	for k := 1; sum < need && c < limit; k++ {
		end := min(b.Coefficients(k), limit)
		for ; c < end; c++ {
			sum += float64(z[c]) * float64(z[c])
		}
		if k > b.Components() {
			return limit
		}
	}
	return c
}

// Group is a truncation group: output channels with similar budgets, which
// share one prefix per token.
type Group struct {
	Channels []int // rows of W, ascending by coefficient count, then by index
	Limit    int   // the largest coefficient count among them
}

// Groups sorts the channels of an output-axis branch by coefficient count and divides them
// into count groups of nearly equal size (fewer if there are fewer channels). On the input
// axis a token has no projection to truncate, which is an error.
func Groups(b *Branch, count int) ([]Group, error) {
	if b.Axis != OutputChannel {
		return nil, fmt.Errorf("spectrum: truncation groups: the branch is on the %v axis: run-time truncation needs the output axis", b.Axis)
	}
	if count < 1 {
		return nil, fmt.Errorf("spectrum: %d truncation groups: want at least 1", count)
	}
	order := make([]int, b.Rows)
	for i := range order {
		order[i] = i
	}
	size := func(c int) int { return b.Offset[c+1] - b.Offset[c] }
	sort.SliceStable(order, func(i, j int) bool { return size(order[i]) < size(order[j]) })
	count = min(count, b.Rows)
	groups := make([]Group, count)
	for g := range groups {
		part := order[g*b.Rows/count : (g+1)*b.Rows/count]
		groups[g] = Group{Channels: part, Limit: size(part[len(part)-1])}
	}
	return groups, nil
}

// ApplyTruncated is Apply on the output axis with run-time truncation: each group reads
// only the prefix of z returned by Prefix. used and stored count the multiplied and the
// stored coefficients; their ratio is the reported fraction. With eps = 0 the result has
// the same bits as Apply's.
func (b *Branch) ApplyTruncated(y, x []float32, groups []Group, eps float64) (used, stored int) {
	b.checkVectors(y, x)
	z := make([]float32, b.Depth())
	b.Project(z, x)
	for _, g := range groups {
		c := Prefix(z, b.basis(), eps, g.Limit)
		for _, j := range g.Channels {
			coeff := b.channel(j)
			stored += len(coeff)
			coeff = coeff[:min(c, len(coeff))]
			used += len(coeff)
			y[j] += ragged(coeff, z)
		}
	}
	return used, stored
}
