package speculate

import "time"

// timing is how long a model's rounds take, by the rows that they compute.
type timing struct {
	rounds  int                  // of the model
	seconds [maxRows + 1]float64 // by rows of a round, smoothed; 0: not known
	asOf    [maxRows + 1]int     // when that was measured, in rounds
}

const (
	maxRows = 32  // of a round with guesses
	stale   = 512 // rounds after which a measurement is forgotten
	// rowCost is what one row more is taken to cost, as a share of the round, until it has
	// been measured.
	rowCost = 0.15
)

// measured takes in how long a round took.
func (s *timing) measured(rows int, took time.Duration) {
	s.rounds++
	if rows > maxRows {
		return
	}
	// Others on this machine make a round longer and never shorter: short times count more.
	t, old := took.Seconds(), s.seconds[rows]
	switch {
	case old == 0:
		s.seconds[rows] = t
	case t < old:
		s.seconds[rows] += (t - old) / 3
	default:
		s.seconds[rows] += (t - old) / 32
	}
	s.asOf[rows] = s.rounds
}

// cost is about how long a round of so many rows takes; 0: nothing is known.
func (s *timing) cost(rows int) float64 {
	rows = min(rows, maxRows)
	known := func(n int) bool { return s.seconds[n] > 0 && s.rounds-s.asOf[n] < stale }
	if known(rows) {
		return s.seconds[rows]
	}
	for n := rows - 1; n > 0; n-- {
		if !known(n) {
			continue
		}
		for m := rows + 1; m <= maxRows; m++ {
			if known(m) {
				return s.seconds[n] + (s.seconds[m]-s.seconds[n])*float64(rows-n)/float64(m-n)
			}
		}
		return s.seconds[n] * (1 + rowCost*float64(rows-n))
	}
	return 0
}
