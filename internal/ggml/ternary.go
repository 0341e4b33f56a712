package ggml

// The ternary types: 256 weights of −1, 0 or 1 with one 16-bit scale.
//
//	TQ1_0  qs[48], qh[4], d   five weights in a byte of qs, four in a byte of qh
//	TQ2_0  qs[64], d          four weights in a byte; the fourth bit pattern, which no writer uses, means 2

// ternary returns the first digit of the fraction v/256 in base 3, minus 1.
func ternary(v byte) int8 { return int8(uint16(v)*3>>8) - 1 }

func decodeTQ1_0(b *Block, src []byte) {
	b.Scale[0], b.Min[0] = half(src[52:]), 0
	at := 0
	digits := func(bytes []byte, n int) {
		power := byte(1)
		for range n {
			for _, v := range bytes {
				b.Q[at] = ternary(v * power) // the product overflows the byte, which drops the digits before
				at++
			}
			power *= 3
		}
	}
	digits(src[:32], 5)
	digits(src[32:48], 5)
	digits(src[48:52], 4)
}

func decodeTQ2_0(b *Block, src []byte) {
	b.Scale[0], b.Min[0] = half(src[64:]), 0
	for i := range MaxElems {
		b.Q[i] = int8(src[i/128*32+i%32]>>(i/32%4*2)&3) - 1
	}
}
