package ggml

// The K types: 256 weights in groups of 16 or 32. The scale of a group is a small integer times
// the block's 16-bit scale d, and its minimum a small integer times dmin.
//
//	Q2_K  scales[16], qs[64], d, dmin         groups of 16: 4 bits of scale, 4 of minimum in a byte
//	Q3_K  hmask[32], qs[64], scales[12], d    groups of 16: signed scales of 6 bits, no minimum
//	Q4_K  d, dmin, scales[12], qs[128]        groups of 32: 6 bits of each, see scaleMin
//	Q5_K  d, dmin, scales[12], qh[32], qs[128]
//	Q6_K  ql[128], qh[64], scales[16], d      groups of 16: signed scales of 8 bits, no minimum

func decodeQ2_K(b *Block, src []byte) {
	scales, qs := src[:16], src[16:80]
	d, dmin := half(src[80:]), half(src[82:])
	for g, s := range scales {
		b.Scale[g], b.Min[g] = d*float32(s&15), dmin*float32(s>>4)
	}
	for i := range MaxElems { // 128 weights in four parts of 32, each two bits higher in the same bytes
		b.Q[i] = int8(qs[i/128*32+i%32] >> (i / 32 % 4 * 2) & 3)
	}
}

func decodeQ3_K(b *Block, src []byte) {
	hmask, qs, sc := src[:32], src[32:96], src[96:108]
	d := half(src[108:])
	for g := range 16 {
		low := sc[g%8] >> (g / 8 * 4) & 15
		high := sc[8+g%4] >> (g / 4 * 2) & 3
		b.Scale[g], b.Min[g] = d*float32(int8(low|high<<4)-32), 0
	}
	for i := range MaxElems {
		b.Q[i] = int8(qs[i/128*32+i%32] >> (i / 32 % 4 * 2) & 3)
		if hmask[i%32]>>(i/32)&1 == 0 {
			b.Q[i] -= 4
		}
	}
}

// scaleMin reads the 6-bit scale and minimum of group g, 0 to 7: those of the first
// four are bytes g and g+4; of the others, byte g+4 has the low four bits of both,
// and the top two bits of bytes g−4 and g the rest.
func scaleMin(sc []byte, g int) (scale, minimum byte) {
	if g < 4 {
		return sc[g] & 63, sc[g+4] & 63
	}
	return sc[g+4]&15 | sc[g-4]>>6<<4, sc[g+4]>>4 | sc[g]>>6<<4
}

// scaleMins fills in the scales and minimums of Q4_K and Q5_K, whose blocks begin in the same
// way.
func scaleMins(b *Block, src []byte) {
	d, dmin := half(src), half(src[2:])
	for g := range 8 {
		s, m := scaleMin(src[4:16], g)
		b.Scale[g], b.Min[g] = d*float32(s), dmin*float32(m)
	}
}

func decodeQ4_K(b *Block, src []byte) {
	scaleMins(b, src)
	qs := src[16:144]
	for j := range 4 { // 64 weights: 32 low halves, 32 high halves
		to := b.Q[64*j:][:64]
		for i, v := range qs[32*j:][:32] {
			to[i], to[i+32] = int8(v&15), int8(v>>4)
		}
	}
}

func decodeQ5_K(b *Block, src []byte) {
	scaleMins(b, src)
	qh, qs := src[16:48], src[48:176]
	for j := range 4 {
		to := b.Q[64*j:][:64]
		for i, v := range qs[32*j:][:32] {
			h := qh[i] >> (2 * j)
			to[i], to[i+32] = int8(v&15|h&1<<4), int8(v>>4|h&2<<3)
		}
	}
}

func decodeQ6_K(b *Block, src []byte) {
	ql, qh, sc := src[:128], src[128:192], src[192:208]
	d := half(src[208:])
	for g, s := range sc {
		b.Scale[g], b.Min[g] = d*float32(int8(s)), 0
	}
	for j := range 2 { // 128 weights: low bits in 64 bytes, high ones in 32
		to, l, h := b.Q[128*j:][:128], ql[64*j:][:64], qh[32*j:][:32]
		for i, v := range h {
			to[i] = int8(l[i]&15|v&3<<4) - 32
			to[i+32] = int8(l[i+32]&15|v>>2&3<<4) - 32
			to[i+64] = int8(l[i]>>4|v>>4&3<<4) - 32
			to[i+96] = int8(l[i+32]>>4|v>>6<<4) - 32
		}
	}
}
