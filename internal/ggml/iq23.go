package ggml

import "encoding/binary"

// IQ2 and IQ3: 256 weights, as points of a grid with separate signs. d is the block's 16-bit
// scale; each group has a number s of four bits, from which its scale is computed.
//
//	IQ2_XXS  d, 8 × (4 indices, signs and s)             d·(s + ½)/4 for 32 weights
//	IQ2_XS   d, 32 × (9 bits index, 7 of signs), s[8]    d·(s + ½)/4 for 16
//	IQ2_S    d, qs[32], signs[32], qh[8], s[8]           d·(s + ½)/4 for 16
//	IQ3_XXS  d, qs[64], 8 × (signs and s)                d·(s + ½)/2 for 32
//	IQ3_S    d, qs[64], qh[8], signs[32], s[4]           d·(2s + 1) for 32

func decodeIQ2_XXS(b *Block, src []byte) {
	d := half(src)
	for g := range 8 {
		part := src[2+8*g:][:8]
		word := binary.LittleEndian.Uint32(part[4:])
		b.Scale[g], b.Min[g] = d*(0.5+float32(word>>28))*0.25, 0
		for j := range 4 {
			signed(b.Q[32*g+8*j:], grid2XXS.at(int(part[j])), signs(byte(word>>(7*j)&127)))
		}
	}
}

func decodeIQ2_XS(b *Block, src []byte) {
	quarterScales(b, half(src), src[66:74])
	for j := range 32 {
		v := binary.LittleEndian.Uint16(src[2+2*j:])
		signed(b.Q[8*j:], grid2XS.at(int(v&511)), signs(byte(v>>9)))
	}
}

// quarterScales reads the scales d·(s + ½)/4 of 16 groups, with two numbers s in a byte.
func quarterScales(b *Block, d float32, sc []byte) {
	for g := range 16 {
		b.Scale[g], b.Min[g] = d*(0.5+float32(sc[g/2]>>(g%2*4)&15))*0.25, 0
	}
}

func decodeIQ2_S(b *Block, src []byte) {
	quarterScales(b, half(src), src[74:82])
	qs, sg, qh := src[2:34], src[34:66], src[66:74]
	for j := range 32 {
		index := int(qs[j]) | int(qh[j/4]>>(j%4*2)&3)<<8
		signed(b.Q[8*j:], grid2S.at(index), sg[j])
	}
}

func decodeIQ3_XXS(b *Block, src []byte) {
	d, qs := half(src), src[2:66]
	for g := range 8 {
		word := binary.LittleEndian.Uint32(src[66+4*g:])
		b.Scale[g], b.Min[g] = d*(0.5+float32(word>>28))*0.5, 0
		for j := range 4 {
			sign, q := signs(byte(word>>(7*j)&127)), b.Q[32*g+8*j:]
			signed(q, grid3XXS.at(int(qs[8*g+2*j])), sign)
			signed(q[4:], grid3XXS.at(int(qs[8*g+2*j+1])), sign>>4)
		}
	}
}

func decodeIQ3_S(b *Block, src []byte) {
	d, qs, qh, sg, sc := half(src), src[2:66], src[66:74], src[74:106], src[106:110]
	for g := range 8 {
		b.Scale[g], b.Min[g] = d*float32(1+2*(sc[g/2]>>(g%2*4)&15)), 0
	}
	for j := range 64 {
		index := int(qs[j]) | int(qh[j/8]>>(j%8)&1)<<8
		signed(b.Q[4*j:], grid3S.at(index), sg[j/2]>>(j%2*4))
	}
}
