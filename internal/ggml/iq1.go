package ggml

import "encoding/binary"

// IQ1: 256 weights as points of a grid of −1, 0 and 1, shifted by +⅛ or −⅛. To have integers,
// Block.Q has eight times these numbers, and Scale an eighth of the scale.
//
//	IQ1_S  d, qs[32], 8 × 16 bits     groups of 32: 3 bits s, one of the move, 4 × 3 of indices; d·(2s + 1)
//	IQ1_M  qs[32], qh[16], 4 × 16 bits groups of 16: 3 bits s; d in the top four bits of each of the last four
//
// The shift is called move below. IQ1_M has one for every eight weights, stored beside the top
// bits of the index.

func moved(q []int8, point []int8, down bool) {
	move := int8(1)
	if down {
		move = -1
	}
	for i, v := range point {
		q[i] = 8*v + move
	}
}

func decodeIQ1_S(b *Block, src []byte) {
	d, qs := half(src), src[2:34]
	for g := range 8 {
		h := binary.LittleEndian.Uint16(src[34+2*g:])
		b.Scale[g], b.Min[g] = d*float32(2*(h>>12&7)+1)/8, 0
		for j := range 4 {
			index := int(qs[4*g+j]) | int(h>>(3*j)&7)<<8
			moved(b.Q[32*g+8*j:], grid1.at(index), h>>15 != 0)
		}
	}
}

func decodeIQ1_M(b *Block, src []byte) {
	qs, qh := src[:32], src[32:48]
	var sc [4]uint16
	var bits uint16
	for i := range sc {
		sc[i] = binary.LittleEndian.Uint16(src[48+2*i:])
		bits |= sc[i] >> 12 << (4 * i)
	}
	d := half([]byte{byte(bits), byte(bits >> 8)})
	for g := range 16 {
		b.Scale[g], b.Min[g] = d*float32(2*(sc[g/4]>>(g%4*3)&7)+1)/8, 0
	}
	for j := range 32 {
		h := qh[j/2] >> (j % 2 * 4)
		moved(b.Q[8*j:], grid1.at(int(qs[j])|int(h&7)<<8), h&8 != 0)
	}
}
