package scheduler

import (
	"time"

	"github.com/specquant/specquant/internal/engine"
)

// Speculation: a text's next token is computed together with guesses of what follows it,
// which costs less than computing them one after the other, because the weights are read
// once. Tokens are drawn from the logits of each as ever, and the first that is not what
// was guessed ends it: the guesses behind it are forgotten. So what is drawn is the same
// as without, to the bit, and only the time depends on the guesses.

// speculation decides how many guesses are worth their time.
type speculation struct {
	off    bool
	forced int // guesses of each text, for tests; 0: as many as pay

	rounds  int
	seconds [maxRows + 1]float64 // by rows of a round, smoothed; 0: not known
	asOf    [maxRows + 1]int     // when that was measured, in rounds
}

const (
	maxRows = 32  // of a round with guesses
	stale   = 512 // rounds after which a measurement is forgotten
	gain    = 1.1 // what guesses must bring at least, as a factor of the speed
	// rowCost is what one row more is taken to cost, as a share of the round, until it has
	// been measured.
	rowCost = 0.15
)

// measured takes in how long a round of nothing but next tokens and guesses took.
func (s *speculation) measured(rows int, took time.Duration) {
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
func (s *speculation) cost(rows int) float64 {
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

// kinds are lengths of what is the same before a guess, which tell how good it is.
const kinds = 3

func kindOf(repeat int) int {
	switch {
	case repeat <= 2:
		return 0
	case repeat <= 4:
		return 1
	}
	return 2
}

// record is how often a text's guesses of each kind have been right, smoothed.
type record [kinds]float64

func newRecord() record { return record{0.3, 0.5, 0.7} }

func (r *record) note(kind int, right bool) {
	v := 0.0
	if right {
		v = 1
	}
	r[kind] += (v - r[kind]) / 6
}

// choose gives each text that is to draw as many guesses as pay: those that are likeliest to
// be right first, while a round gives more tokens for its time.
func (s *speculation) choose(tasks []*task) {
	rows := len(tasks)
	if s.forced > 0 {
		for _, t := range tasks {
			t.guesses = min(s.forced, len(t.guess))
		}
		return
	}
	for _, t := range tasks {
		t.guesses, t.chance = 0, t.hits[t.kind]
	}
	base := s.cost(min(rows, maxRows))
	if base == 0 || rows >= maxRows {
		return
	}
	tokens := float64(rows)
	best, bestOrder := gain*tokens/base, 0
	var order []*task
	for rows < maxRows {
		var next *task
		for _, t := range tasks {
			if t.guesses < len(t.guess) && (next == nil || t.chance > next.chance) {
				next = t
			}
		}
		if next == nil || next.chance < 0.02 {
			break
		}
		rows++
		tokens += next.chance
		next.guesses++
		next.chance *= next.hits[next.kind]
		order = append(order, next)
		if speed := tokens / s.cost(rows); speed > best {
			best, bestOrder = speed, len(order)
		}
	}
	for _, t := range order[bestOrder:] {
		t.guesses--
	}
}

// lookAhead makes the guesses of texts that are to draw, and says what is to be computed.
func (s *Scheduler) lookAhead(tasks []*task, steps []engine.Step, alone bool) {
	if s.guesses.off {
		return
	}
	for _, t := range tasks {
		most := min(maxGuess, t.limit-t.result.Tokens-1, s.model.Context-len(t.tokens)-1)
		repeat := 0
		t.guess, repeat = guess(t.tokens, t.drawn, most)
		t.kind, t.guesses = kindOf(repeat), 0
	}
	if !alone { // prompts are computed in the same round, of which no time is known
		return
	}
	s.guesses.choose(tasks)
	for i, t := range tasks {
		if t.guesses > 0 {
			steps[i].IDs = append(steps[i].IDs, t.guess[:t.guesses]...)
			steps[i].Want = engine.WantAll
		}
	}
}

// settle forgets the guesses behind the first wrong one, n tokens having been drawn.
func (t *task) settle(n int) {
	wrong := max(0, t.guesses+1-max(n, 1))
	t.tokens = t.tokens[:len(t.tokens)-wrong]
	t.seq.Truncate(len(t.tokens))
}
