package main

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// functions are those that templates call besides the built-in ones. Numbers are ints.
var functions = template.FuncMap{
	"add": func(a int, rest ...int) int {
		for _, b := range rest {
			a += b
		}
		return a
	},
	"sub": func(a, b int) int { return a - b },
	"mul": func(a int, rest ...int) int {
		for _, b := range rest {
			a *= b
		}
		return a
	},
	"div":       func(a, b int) int { return a / b },
	"mod":       func(a, b int) int { return a % b },
	"shiftleft": func(a, n int) int { return a << n },
	"log2":      func(a int) int { return bits.Len(uint(a)) - 1 },

	// ints is a list of numbers, seq the numbers from a up to but not b.
	"ints": func(list ...int) []int { return list },
	"seq": func(a, b int) []int {
		var list []int
		for ; a < b; a++ {
			list = append(list, a)
		}
		return list
	},
	"max": func(list []int) int { return slices.Max(list) },
	"reverse": func(list []int) []int {
		list = slices.Clone(list)
		slices.Reverse(list)
		return list
	},
	"upper": strings.ToUpper,

	"signedBody":   func(m signedMatrix, t tier) string { return strings.TrimSuffix(m.body(t), "\n") },
	"signedStored": func(m signedMatrix, t tier) int { return m.stored(t) },
	"signedNEON":   func() []tier { return []tier{{Name: "NEON", Bytes: 16}} },

	"list": func(list ...any) []any { return list },

	"planes":         planes,
	"oddMultiples":   oddMultiples,
	"multipleWidth":  multipleWidth,
	"multipleAt":     multipleAt,
	"multiplePairAt": multiplePairAt,
	"shift":          shift,
	"planeMasks":     func() map[int]string { return planeMasks },
	"floatbits":      func(x int) string { return fmt.Sprintf("0x%08x", math.Float32bits(float32(x))) },
	"byte4":          func(b int) string { return fmt.Sprintf("0x%08x", b*0x01010101) },
	"byte8":          func(b int) string { return fmt.Sprintf("0x%016x", b*0x0101010101010101) },

	// tiers are AVX-512 and AVX2: what the names of routines end with, the registers, their
	// bytes, and the registers of half the width.
	"tiers": func() []tier { return []tier{{"avx512", "Z", 64, "Y"}, {"avx2", "Y", 32, "X"}} },

	// dict makes the argument of a template from pairs of a name and a value.
	"dict": func(pairs ...any) (map[string]any, error) {
		m := map[string]any{}
		for ; len(pairs) >= 2; pairs = pairs[2:] {
			m[fmt.Sprint(pairs[0])] = pairs[1]
		}
		if len(pairs) != 0 {
			return nil, fmt.Errorf("dict: a name without a value")
		}
		return m, nil
	},

	// at is a memory operand: at 4 "(R8)" is 4(R8), at 0 "(R8)" is (R8).
	"at": at,
	// token is the memory operand of a token's columns in the integer kernels on
	// amd64: R8, R9, R10 and R11 hold tokens 0, 3, 6 and 9, DX their distance.
	"token": func(off, t int) string {
		return at(off, [4]string{"(R8)", "(R9)", "(R10)", "(R11)"}[t/3]+[3]string{"", "(DX*1)", "(DX*2)"}[t%3])
	},
	// row is the memory operand of row i of a matrix on amd64. bases hold the
	// addresses of rows 0, 4, 8 …; the registers once and thrice the distance
	// of rows.
	"row": func(off, i int, bases, once, thrice string) (string, error) {
		names := strings.Fields(bases)
		if i/4 >= len(names) {
			return "", fmt.Errorf("row %d has no base register in %q", i, bases)
		}
		return at(off, "("+names[i/4]+")") + [4]string{"", "(" + once + "*1)", "(" + once + "*2)", "(" + thrice + "*1)"}[i%4], nil
	},
}

type tier struct {
	Name, Reg string
	Bytes     int
	Half      string
}

func at(off int, mem string) string {
	if off == 0 {
		return mem
	}
	return itoa(off) + mem
}

func itoa(n int) string { return strconv.Itoa(n) }
