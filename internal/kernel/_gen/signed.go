package main

import (
	"fmt"
	"strings"
)

// A signedMatrix is a matrix with entries ±1 whose product with a block of rows has routines of
// its own (float/signed.go): one of Paley's of the given order, or, for his second construction,
// C − I with its conference matrix C, of half the order, for sums and differences of pairs of rows.
type signedMatrix struct {
	Order int // rows of a block
	Pairs bool
	Size  int // rows of the matrix
	minus [][]bool
}

// paley returns Paley's matrix for the field of q elements, as package linalg defines it. squares
// has + for 0 and for the nonzero squares, in the order of the numbers that stand for the
// elements, if q is the power of a prime p; for a prime q it is not needed.
func paley(q, p int, squares string) signedMatrix {
	square := make([]bool, q)
	if q == p {
		for i := range q {
			square[i*i%q] = true
		}
	} else {
		for i := range q {
			square[i] = squares[i] == '+'
		}
	}
	m := signedMatrix{Order: q + 1, Size: q + 1, Pairs: q%4 == 1}
	if m.Pairs {
		m.Order = 2 * m.Size
	}
	for i := range m.Size {
		row := make([]bool, m.Size) // whether entries are negative
		for j := range m.Size {
			switch {
			case i == j:
				row[j] = m.Pairs
			case i == 0:
			case j == 0:
				row[j] = !m.Pairs
			default:
				// i−1 minus j−1, digit by digit in base p
				difference := 0
				for a, b, unit := i-1, j-1, 1; unit < q; a, b, unit = a/p, b/p, unit*p {
					difference += (a%p - b%p + p) % p * unit
				}
				row[j] = !square[difference]
			}
		}
		m.minus = append(m.minus, row)
	}
	return m
}

// Rows returns the rows of the matrix as Go's numbers: bit j is set if entry j is −1.
func (m signedMatrix) Rows() (rows []string) {
	for _, row := range m.minus {
		bits := uint64(0)
		for j, minus := range row {
			if minus {
				bits |= 1 << j
			}
		}
		rows = append(rows, fmt.Sprintf("0x%x", bits))
	}
	return rows
}

// groups is the number of groups of four columns; the last one may have two.
func (m signedMatrix) groups() int { return (m.Size + 3) / 4 }

// sum returns which of the sums of group g row i takes, up to a sign, and whether with a minus:
// bit 0 is set if the group's second number has the other sign than the first, bit 1 if the
// third has, and bit 2 if the fourth has another than the third.
func (m signedMatrix) sum(i, g int) (which int, minus bool) {
	row := m.minus[i][4*g : min(4*g+4, m.Size)]
	if row[0] != row[1] {
		which = 1
	}
	if len(row) == 4 {
		if row[0] != row[2] {
			which |= 2
		}
		if row[2] != row[3] {
			which |= 4
		}
	}
	return which, row[0]
}

// used tells which sums of group g some row takes.
func (m signedMatrix) used(g int) (used [8]bool) {
	for i := range m.Size {
		which, _ := m.sum(i, g)
		used[which] = true
	}
	return used
}

// stored returns the bytes of the sums that do not stay in registers.
func (m signedMatrix) stored(t tier) int {
	return max(0, m.groups()-t.signedKept()) * 8 * t.Bytes
}

// A signedWriter writes instructions for one architecture. Registers of numbers are given by
// their index. A sum is in a register, or in the memory of stored sums if at is not negative.
type signedWriter interface {
	group(g int)                             // goes to the rows of group g
	input(to, j int)                         // loads number j of the group
	add(minus bool, to, a, b int)            // to = a ± b
	store(from, at int)                      // stores a sum
	rows(i int)                              // goes to the results of rows i…i+3
	sum(minus bool, to, a, from, at int)     // to = a ± a sum
	negated(minus bool, to, a, from, at int) // to = −a ± a sum
	end(negative bool, from, i int)          // writes row i of four: ± from, and what pairs add
}

// write writes what makes a register of columns of the product: the sums of all groups, of which
// those of the first `kept` stay in the first registers, and then the rows, four side by side.
func (m signedMatrix) write(w signedWriter, kept int) {
	kept = min(kept, m.groups())
	temp := 8 * kept
	for n := range m.groups() {
		g := (n + kept) % m.groups() // those that are stored come first
		base := 8 * (g % kept)
		used := m.used(g)
		a, b, c, d := temp, temp+1, temp+2, temp+3
		w.group(g)
		w.input(a, 0)
		w.input(b, 1)
		if m.Size-4*g < 4 {
			w.add(false, base, a, b)
			w.add(true, base+1, a, b)
		} else {
			w.input(c, 2)
			w.input(d, 3)
			left, right := [2]int{temp + 4, temp + 5}, [2]int{a, b}
			w.add(false, left[0], a, b)
			w.add(true, left[1], a, b)
			w.add(false, right[0], c, d)
			w.add(true, right[1], c, d)
			for which := range 8 {
				if used[which] {
					w.add(which&2 != 0, base+which, left[which&1], right[which>>2])
				}
			}
		}
		for which := range 8 {
			if g >= kept && used[which] {
				w.store(base+which, 8*(g-kept)+which)
			}
		}
	}
	for i := 0; i < m.Size; i += 4 {
		w.rows(i)
		rows := min(4, m.Size-i)
		for g := 1; g < m.groups(); g++ {
			for r := range rows {
				first, negative := m.sum(i+r, 0)
				which, minus := m.sum(i+r, g)
				to, a := temp+r, temp+r
				if g == 1 {
					a = first
				}
				from, at := 8*g+which, -1
				if g >= kept {
					at = 8*(g-kept) + which
				}
				if negative && !m.Pairs && g == m.groups()-1 {
					w.negated(minus, to, a, from, at)
				} else {
					w.sum(minus != negative, to, a, from, at)
				}
			}
		}
		for r := range rows {
			_, negative := m.sum(i+r, 0)
			w.end(negative, temp+r, r)
		}
	}
}

// body returns the instructions for an architecture: a tier of amd64, or NEON.
func (m signedMatrix) body(t tier) string {
	if t.Name == "NEON" {
		w := &signedNEON{m: m, near: -1}
		m.write(w, t.signedKept())
		return w.String()
	}
	w := &signedX86{m: m, tier: t, near: -1}
	m.write(w, t.signedKept())
	return w.String()
}

// signedKept is for how many groups of a product with a matrix of signs registers hold the sums.
func (t tier) signedKept() int {
	if t.Name == "avx2" {
		return 1
	}
	return 3
}

// signedX86 writes for amd64: see signed_amd64.tmpl.
type signedX86 struct {
	strings.Builder
	m    signedMatrix
	tier tier
	near int // the group whose rows AX points to
}

func (w *signedX86) line(format string, a ...any) { fmt.Fprintf(w, "\t"+format+"\n", a...) }
func (w *signedX86) reg(n int) string             { return fmt.Sprint(w.tier.Reg, n) }

// one and two are the registers with the signs of pairs, or −1.
func (w *signedX86) one() string { return w.reg(w.tier.Bytes/2 - 1) }
func (w *signedX86) two() string { return w.reg(w.tier.Bytes/2 - 2) }

// mem is row i of four from a register, the registers with once and thrice their distance given.
func mem(base, once, thrice string, i int) string {
	return "(" + base + ")" + [4]string{"", "(" + once + "*1)", "(" + once + "*2)", "(" + thrice + "*1)"}[i]
}

func (w *signedX86) group(g int) {
	rows, end := 4, "AX"
	if w.m.Pairs {
		rows, end = 8, "BX"
	}
	switch {
	case g == 0:
		w.line("MOVQ SI, AX")
	case g == w.near+1:
		w.line("LEAQ (%s)(R8*4), AX", end)
	default:
		w.line("IMUL3Q $%d, R8, AX", rows*g)
		w.line("ADDQ SI, AX")
	}
	if w.m.Pairs {
		w.line("LEAQ (AX)(R8*4), BX")
	}
	w.near = g
}

func (w *signedX86) input(to, j int) {
	if !w.m.Pairs {
		w.line("VMOVUPS %s, %s", mem("AX", "R8", "R9", j), w.reg(to))
		return
	}
	base := [2]string{"AX", "BX"}[j/2]
	w.line("VMOVUPS %s, %s", mem(base, "R8", "R9", j%2*2+1), w.reg(to))
	w.line("VFMADD213PS %s, %s, %s", mem(base, "R8", "R9", j%2*2), w.one(), w.reg(to))
}

func (w *signedX86) add(minus bool, to, a, b int) { w.sum(minus, to, a, b, -1) }

func (w *signedX86) store(from, at int) { w.line("VMOVUPS %s, %s", w.reg(from), w.stored(at)) }

func (w *signedX86) stored(n int) string { return at(n*w.tier.Bytes, "(R13)") }

func (w *signedX86) rows(i int) {
	if i > 0 {
		w.line("LEAQ (DX)(R10*4), DX")
	} else {
		w.line("LEAQ (DI)(R12*1), DX")
	}
	if w.m.Pairs && i > 0 {
		w.line("LEAQ (BX)(R10*4), BX")
	} else if w.m.Pairs {
		w.line("LEAQ (SI)(R12*1), BX")
	}
}

func (w *signedX86) term(from, at int) string {
	if at < 0 {
		return w.reg(from)
	}
	return w.stored(at)
}

func (w *signedX86) sum(minus bool, to, a, from, at int) {
	w.line("%s %s, %s, %s", [2]string{"VADDPS", "VSUBPS"}[one(minus)], w.term(from, at), w.reg(a), w.reg(to))
}

func (w *signedX86) negated(minus bool, to, a, from, at int) {
	if to != a {
		w.line("VMOVAPS %s, %s", w.reg(a), w.reg(to))
	}
	w.line("%s %s, %s, %s", [2]string{"VFMADD213PS", "VFMSUB213PS"}[one(minus)], w.term(from, at), w.one(), w.reg(to))
}

func (w *signedX86) end(negative bool, from, i int) {
	if w.m.Pairs {
		w.line("%s %s, %s, %s", [2]string{"VFMADD231PS", "VFMSUB231PS"}[one(negative)], mem("BX", "R10", "R11", i), w.two(), w.reg(from))
	}
	w.line("VMOVUPS %s, %s", w.reg(from), mem("DX", "R10", "R11", i))
}

// one is 1 for true.
func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// signedNEON writes for arm64: see signed_arm64.tmpl.
type signedNEON struct {
	strings.Builder
	m    signedMatrix
	near int // the group of the row that R4 points to
}

func (w *signedNEON) line(format string, a ...any) { fmt.Fprintf(w, "\t"+format+"\n", a...) }

func (w *signedNEON) group(g int) {
	rows := 4
	if w.m.Pairs {
		rows = 8
	}
	switch {
	case g == 0:
		w.line("MOVD R1, R4")
	case g != w.near+1:
		w.line("MOVD $%d, R5", rows*g)
		w.line("MADD R5, R1, R2, R4")
	}
	w.near = g
}

func (w *signedNEON) input(to, j int) {
	w.line("LDRQ(%d, 4, 0)", to)
	w.line("ADD R2, R4")
	if w.m.Pairs {
		w.line("LDRQ(29, 4, 0)")
		w.line("ADD R2, R4")
		w.line("FMLA4S(%d, 29, 30)", to)
	}
}

func (w *signedNEON) add(minus bool, to, a, b int) { w.sum(minus, to, a, b, -1) }

func (w *signedNEON) store(from, at int) { w.line("STRQ(%d, 7, %d)", from, 16*at) }

func (w *signedNEON) rows(i int) {
	if i == 0 {
		w.line("ADD R9, R0, R6")
		w.line("ADD R9, R1, R5")
	}
}

func (w *signedNEON) term(from, at int) int {
	if at < 0 {
		return from
	}
	w.line("LDRQ(29, 7, %d)", 16*at)
	return 29
}

func (w *signedNEON) sum(minus bool, to, a, from, at int) {
	w.line("%s(%d, %d, %d)", [2]string{"FADD4S", "FSUB4S"}[one(minus)], to, a, w.term(from, at))
}

func (w *signedNEON) negated(minus bool, to, a, from, at int) {
	term := w.term(from, at)
	if minus {
		w.line("FNEG4S(%d, %d)", to, a)
		w.line("FSUB4S(%d, %d, %d)", to, to, term)
		return
	}
	w.line("FSUB4S(%d, %d, %d)", to, term, a)
}

func (w *signedNEON) end(negative bool, from, i int) {
	if w.m.Pairs {
		if negative {
			w.line("FNEG4S(%d, %d)", from, from)
		}
		w.line("LDRQ(29, 5, 0)")
		w.line("ADD R8, R5")
		w.line("FMLA4S(%d, 29, 31)", from)
	}
	w.line("STRQ(%d, 6, 0)", from)
	w.line("ADD R8, R6")
}
