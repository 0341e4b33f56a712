package main

import "fmt"

// Weights of 2, 3, 5, 6 and 7 bits lie in bit planes: planes.go in the package
// integer defines the layout. A step is 32 columns of 16 rows, eight quads of four
// columns; a plane of 4, 2 or 1 bits holds the step in 256, 128 or 64 bytes.

// planeWidths are the bits of the planes, the lowest first.
var planeWidths = map[int][]int{2: {2}, 3: {2, 1}, 5: {4, 1}, 6: {4, 2}, 7: {4, 2, 1}}

// bitOrder is where a plane of single bits has those of each quad.
var bitOrder = [8]int{2, 4, 6, 0, 3, 5, 7, 1}

// A piece is what one plane contributes to the bytes of a quad.
type piece struct {
	At    int // where the 64 bytes that hold it begin, from the start of the step
	Right int // the shift that brings its bits to their place; negative: to the left
	Mask  int // its bits in a byte
	Below int // the bits of the planes below, 0 for the lowest plane
}

// planes returns the pieces of a quad of weights, the lowest plane first. For weights of 2 and 3 bits
// with multiples of a row's scale, whose integers are odd, they give twice what is stored.
func planes(bits, quad int, multiples bool) []piece {
	var list []piece
	start, place, below := 0, 0, 0 // of the plane: its first byte, its lowest bit in a weight, the bits below
	if multiples && oddMultiples(bits) {
		place = 1
	}
	for _, width := range planeWidths[bits] {
		fields := 8 / width // of a byte
		field := width * (quad % fields)
		if width == 1 {
			field = bitOrder[quad]
		}
		list = append(list, piece{
			At: start + 64*(quad/fields), Right: field - place,
			Mask: (1<<width - 1) << place, Below: below,
		})
		start, place, below = start+64*width, place+width, below|(1<<width-1)<<place
	}
	return list
}

// multiplePairAt are, as one number, the indices for VPSHUFB of the bytes of rows row and row+1, 4 each: of
// two groups' packed multiples, of 4 bits each, the byte that has the row's, below and above a byte of
// zeros.
func multiplePairAt(row int) string {
	var v uint64
	for i := range 2 {
		at := uint64((row + i) / 2)
		v |= (0x80008000 | (at+8)<<16 | at) << (32 * i)
	}
	return fmt.Sprintf("0x%016x", v)
}

// shift is the instruction for a shift right by n, or left if n is negative, and
// the distance: shift "VPSRLD" "VPSLLD" -3 is VPSLLD $3.
func shift(right, left string, n int) string {
	if n < 0 {
		return left + " $" + itoa(-n)
	}
	return right + " $" + itoa(n)
}

// planeMasks names the data of the AVX2 kernels that hold a plane's bits.
var planeMasks = map[int]string{
	0x03: "intBits01", 0x04: "intBit2", 0x0f: "intBits0123",
	0x06: "intBits12", 0x08: "intBit3",
	0x10: "intBit4", 0x30: "intBits45", 0x40: "intBit6",
}

// oddMultiples reports whether weights of so many bits with multiples are odd integers: with 2 and 3 bits,
// where u stands for 2u − (2^bits − 1), and not for u − 2^(bits−1).
func oddMultiples(bits int) bool { return bits < 4 }

// multipleWidth is the number of bits of a multiple beside weights of so many bits.
func multipleWidth(bits int) int { return min(4, 8-bits) }

// multipleAt are, as one number, the indices for VPSHUFB of the bytes of rows row and row+1, 4 each:
// the two bytes of packed multiples, of width bits each, that the row's begins in, and twice none.
func multipleAt(width, row int) string {
	var v uint64
	for i := range 2 {
		at := uint64(width * (row + i) / 8)
		v |= (0x80800000 | (at+1)<<8 | at) << (32 * i)
	}
	return fmt.Sprintf("0x%016x", v)
}
