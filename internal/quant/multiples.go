package quant

import (
	"math"

	"github.com/specquant/specquant/internal/kernel/float"
	"github.com/specquant/specquant/internal/kernel/integer"
)

// With [Grid.Multiples] the groups of a row share a scale of which theirs are multiples. The
// search first finds each group's best scale as if it were free. With the row's scale at 1/M of the
// largest of these, M being the largest multiple, all can be approached, small ones coarsely; with
// a smaller one all but the largest can be approached better. So some are tried.

// multipleStep and multipleSteps define the row's scales that are tried, relative to the largest
// free scale over M: 1, 0.97, … 0.55.
const (
	multipleStep  = 0.03
	multipleSteps = 16
)

// multiples replaces the free scales of the groups of a row by multiples of a scale of the row,
// and returns that. With weights w, [cols], it minimizes the squared error. A clip that does not
// search takes scales that are no smaller than the free ones, so that nothing is clipped.
// Scales that are not finite are left as they are.
func (g Grid) multiples(scale []float32, multiple []uint8, w, importance []float32, width int, clip Clip) (row float32) {
	m := rowMultiples{at: g.Step(0, 0), free: scale, w: w, importance: importance, width: width, most: integer.MaxMultiple(g.Bits), unit: g.MultipleUnit()}
	m.zero = -m.at.Lo
	if fixed := g.FixedZero(); fixed != nil {
		m.zero = fixed[0]
	}
	var top float32
	for k := range scale {
		least, most := float.Range(m.weights(k))
		if least == most {
			scale[k] = 0 // all weights are zero: any scale will do
		}
		top = max(top, scale[k])
	}
	switch {
	case top-top != 0:
		return top
	case top == 0 && m.centred():
		for k := range multiple {
			scale[k], multiple[k] = ZeroGroupScale, 1
		}
		return 0
	case top == 0:
		row = 1 / float32(m.most)
		for k := range multiple {
			multiple[k] = uint8(m.most)
		}
	case clip.searches():
		row = m.search(multiple, top)
	default:
		row = m.cover(multiple, top)
	}
	for k, n := range multiple {
		scale[k] = m.scale(row, int(n))
	}
	return row
}

// rowMultiples is a row whose groups are to get multiples.
type rowMultiples struct {
	at            float.GridStep
	free          []float32 // the groups' best scales; 0: all weights are zero
	w, importance []float32
	width         int     // weights in a group
	most          int     // the largest multiple
	unit          float32 // see [Grid.MultipleUnit]
	zero          float32 // zero point in units of u
}

func (m *rowMultiples) centred() bool { return m.unit == 2 }

// scale is that of a group with multiple n of a row's scale. It is exact: 11 bits times at most 6.
func (m *rowMultiples) scale(row float32, n int) float32 { return row * m.unit * float32(n) }

// ofZeros is the multiple of a group of zeros: the largest, so that nothing is clipped that solving
// adds to it, but on a centred grid, which has no level at zero, the smallest.
func (m *rowMultiples) ofZeros() uint8 {
	if m.centred() {
		return 1
	}
	return uint8(m.most)
}

// weights are those of group k.
func (m *rowMultiples) weights(k int) []float32 {
	return m.w[k*m.width : min(len(m.w), (k+1)*m.width)]
}

// cover returns the smallest scale of the row with which all groups' scales can be no smaller than
// the free ones, and sets the smallest such multiples.
func (m *rowMultiples) cover(multiple []uint8, top float32) float32 {
	row := max(roundF16(top/m.scale(1, m.most)), smallestScale)
	if m.scale(row, m.most) < top { // where 16-bit floats lose digits
		row = float.FromF16(float.ToF16(row) + 1)
	}
	for k, free := range m.free {
		multiple[k] = m.ofZeros()
		if free > 0 {
			multiple[k] = uint8(max(1, math.Ceil(float64(free)/float64(m.scale(row, 1)))))
		}
	}
	return row
}

// search returns the best of the tried scales of the row, and sets the multiples.
func (m *rowMultiples) search(multiple []uint8, top float32) (best float32) {
	tried := make([]uint8, len(multiple))
	least, before := math.Inf(1), float32(0)
	for i := range multipleSteps {
		row := max(roundF16(top/m.scale(1, m.most)*(1-multipleStep*float32(i))), smallestScale)
		if row == before { // where 16-bit floats lose digits
			continue
		}
		before = row
		if e := m.choose(tried, row, least); e < least {
			best, least = row, e
			copy(multiple, tried)
		}
	}
	return best
}

// choose sets each group's multiple of a scale of the row to the better of the two next to the
// free scale, and returns the row's squared error, or the limit if that is no larger.
func (m *rowMultiples) choose(multiple []uint8, row float32, limit float64) float64 {
	var sum float64
	for k, free := range m.free {
		multiple[k] = m.ofZeros()
		if free == 0 {
			continue
		}
		w := m.weights(k)
		var importance []float32
		if m.importance != nil {
			importance = m.importance[k*m.width:][:len(w)]
		}
		n := max(1, int(min(free/m.scale(row, 1), float32(m.most))))
		multiple[k] = uint8(n)
		e := squaredError(w, importance, &m.at, step{m.scale(row, n), m.zero}, float32(math.Inf(1)))
		if n < m.most {
			if more := squaredError(w, importance, &m.at, step{m.scale(row, n+1), m.zero}, e); more < e {
				e, multiple[k] = more, uint8(n+1)
			}
		}
		if sum += float64(e); sum >= limit {
			return limit
		}
	}
	return sum
}
