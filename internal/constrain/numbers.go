package constrain

import (
	"fmt"
	"math/big"
	"strings"
)

// Digits that numbers are written with.
const (
	wholeDigits    = 18
	fractionDigits = 16
)

// bound is a limit on numbers.
type bound struct {
	at        *big.Rat
	exclusive bool
}

var fraction = fmt.Sprintf(`(\.\d{1,%d})?`, fractionDigits)

// anyNumber accepts all numbers, or all integers.
func anyNumber(real bool) (*runeDFA, error) {
	pattern := fmt.Sprintf(`-?(0|[1-9]\d{0,%d})`, wholeDigits-1)
	if real {
		pattern += fraction + `([eE][+-]?\d{1,2})?`
	}
	return parsePattern(pattern, true, &budget{})
}

// numbers are automata that together accept the numbers within bounds; one that begins
// with a minus has it left out. nil bounds are none.
type numbers struct {
	positive, negative *runeDFA
}

// boundedNumbers accepts the numbers, or integers, from low to high.
func boundedNumbers(low, high *bound, real bool, w *budget) (n numbers, err error) {
	if n.positive, err = magnitudes(low, high, real, w); err != nil {
		return n, err
	}
	n.negative, err = magnitudes(high.negated(), low.negated(), real, w)
	return n, err
}

func (b *bound) negated() *bound {
	if b == nil {
		return nil
	}
	return &bound{new(big.Rat).Neg(b.at), b.exclusive}
}

// magnitudes accepts the numbers from 0 that are within bounds; nil: there are none.
func magnitudes(low, high *bound, real bool, w *budget) (*runeDFA, error) {
	pattern := fmt.Sprintf(`(0|[1-9]\d{0,%d})`, wholeDigits-1)
	if real {
		pattern += fraction
	}
	d, err := parsePattern(pattern, true, w)
	if err != nil {
		return nil, err
	}
	for _, side := range []struct {
		bound *bound
		upper bool
	}{{low, false}, {high, true}} {
		if side.bound == nil {
			continue
		}
		pattern, none := beyond(side.bound, side.upper, real)
		if none {
			return nil, nil
		}
		if pattern == "" {
			continue
		}
		e, err := parsePattern(pattern, true, w)
		if err != nil {
			return nil, err
		}
		if d, err = d.both(e, w); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// beyond is an expression of the numbers from 0 on one side of a bound; "": all of them,
// none: not one.
func beyond(b *bound, upper, real bool) (pattern string, none bool) {
	switch sign := b.at.Sign(); {
	case upper && (sign < 0 || sign == 0 && b.exclusive):
		return "", true
	case !upper && (sign < 0 || sign == 0 && !b.exclusive):
		return "", false
	}
	whole := new(big.Int).Quo(b.at.Num(), b.at.Denom())
	rest := new(big.Rat).Sub(b.at, new(big.Rat).SetInt(whole))
	digits := strings.TrimRight(strings.TrimPrefix(rest.FloatString(fractionDigits), "0."), "0")
	if !real {
		if !upper && (b.exclusive || rest.Sign() > 0) {
			whole.Add(whole, big.NewInt(1))
		} else if upper && b.exclusive && rest.Sign() == 0 {
			whole.Sub(whole, big.NewInt(1))
		}
		if len(whole.String()) > wholeDigits {
			return "", !upper
		}
		if upper {
			return atMost(whole.String()), false
		}
		return atLeast(whole.String()), false
	}
	if len(whole.String()) > wholeDigits {
		return "", !upper
	}
	w := whole.String()
	if !upper {
		next := new(big.Int).Add(whole, big.NewInt(1)).String()
		alts := []string{fmt.Sprintf("(%s)%s", atLeast(next), fraction)}
		if len(next) > wholeDigits {
			alts = nil
		}
		for _, f := range fractionsAbove(digits, b.exclusive) {
			alts = append(alts, w+f)
		}
		return strings.Join(alts, "|"), false
	}
	var alts []string
	if whole.Sign() > 0 {
		alts = append(alts, fmt.Sprintf("(%s)%s", atMost(new(big.Int).Sub(whole, big.NewInt(1)).String()), fraction))
	}
	for _, f := range fractionsBelow(digits, b.exclusive) {
		alts = append(alts, w+f)
	}
	return strings.Join(alts, "|"), len(alts) == 0
}

// fractionsAbove are expressions of the fractions from digits on; a fraction that is
// exactly so is left out if exclusive.
func fractionsAbove(digits string, exclusive bool) (alts []string) {
	for j := range len(digits) {
		if digits[j] < '9' {
			alts = append(alts, fmt.Sprintf(`\.%s[%c-9]\d*`, digits[:j], digits[j]+1))
		}
	}
	switch {
	case exclusive:
		alts = append(alts, fmt.Sprintf(`\.%s0*[1-9]\d*`, digits))
	case digits == "":
		alts = append(alts, `(\.\d*)?`)
	default:
		alts = append(alts, fmt.Sprintf(`\.%s\d*`, digits))
	}
	return alts
}

// fractionsBelow are expressions of the fractions up to digits.
func fractionsBelow(digits string, exclusive bool) (alts []string) {
	if digits == "" {
		if !exclusive {
			alts = append(alts, `(\.0+)?`)
		}
		return alts
	}
	alts = append(alts, "")
	for j := range len(digits) {
		if digits[j] > '0' {
			alts = append(alts, fmt.Sprintf(`\.%s[0-%c]\d*`, digits[:j], digits[j]-1))
		}
		if j > 0 {
			alts = append(alts, `\.`+digits[:j])
		}
	}
	if !exclusive {
		alts = append(alts, fmt.Sprintf(`\.%s0*`, digits))
	}
	return alts
}

// atLeast is an expression of the integers from one on, which is not negative.
func atLeast(from string) string {
	if from == "0" {
		return `0|[1-9]\d*`
	}
	k := len(from)
	alts := []string{fmt.Sprintf(`[1-9]\d{%d,}`, k), from}
	for j := range k {
		if from[j] < '9' {
			alts = append(alts, fmt.Sprintf(`%s[%c-9]\d{%d}`, from[:j], from[j]+1, k-j-1))
		}
	}
	return strings.Join(alts, "|")
}

// atMost is an expression of the integers from 0 up to one.
func atMost(to string) string {
	alts := []string{"0", to}
	k := len(to)
	if k > 1 {
		alts = append(alts, fmt.Sprintf(`[1-9]\d{0,%d}`, k-2))
	}
	for j := range k {
		low := byte('0')
		if j == 0 {
			low = '1'
		}
		if to[j] > low {
			alts = append(alts, fmt.Sprintf(`%s[%c-%c]\d{%d}`, to[:j], low, to[j]-1, k-j-1))
		}
	}
	return strings.Join(alts, "|")
}

// multiples accepts the decimal digits of the multiples of n.
func (d *runeDFA) multiples(n int32, w *budget) (*runeDFA, error) {
	cuts := make([]rune, 0, 11)
	for c := '0'; c <= '9'+1; c++ {
		cuts = append(cuts, c)
	}
	return d.product(cuts, func(s int32, r rune) int32 {
		if r < '0' || r > '9' {
			return -1
		}
		return (s*10 + r - '0') % n
	}, func(s int32) bool { return s == 0 }, w)
}
