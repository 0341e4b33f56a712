package ggml

import (
	"encoding/binary"

	"github.com/specquant/specquant/internal/kernel/float"
)

// The simple types: 32 weights, one 16-bit scale d and, in the types that end in
// _1, one 16-bit minimum m. A byte of qs has weight i in its low half and weight
// i+16 in its high half; the fifth bit of weight i is bit i of qh.
//
//	Q4_0  d, qs[16]          d·(q − 8)
//	Q4_1  d, m, qs[16]       d·q + m
//	Q5_0  d, qh, qs[16]      d·(q − 16)
//	Q5_1  d, m, qh, qs[16]   d·q + m
//	Q8_0  d, 32 signed bytes d·q

func half(src []byte) float32 { return float.FromF16(binary.LittleEndian.Uint16(src)) }

func decodeQ4_0(b *Block, src []byte) {
	b.Scale[0], b.Min[0] = half(src), 0
	for i, v := range src[2:18] {
		b.Q[i], b.Q[i+16] = int8(v&15)-8, int8(v>>4)-8
	}
}

func decodeQ4_1(b *Block, src []byte) {
	b.Scale[0], b.Min[0] = half(src), -half(src[2:])
	for i, v := range src[4:20] {
		b.Q[i], b.Q[i+16] = int8(v&15), int8(v>>4)
	}
}

func decodeQ5_0(b *Block, src []byte) {
	b.Scale[0], b.Min[0] = half(src), 0
	fifth(b, src[2:], 16)
}

func decodeQ5_1(b *Block, src []byte) {
	b.Scale[0], b.Min[0] = half(src), -half(src[2:])
	fifth(b, src[4:], 0)
}

// fifth reads numbers of 5 bits and subtracts offset. src begins with qh.
func fifth(b *Block, src []byte, offset int8) {
	high := binary.LittleEndian.Uint32(src)
	for i, v := range src[4:20] {
		b.Q[i] = int8(v&15|byte(high>>i&1)<<4) - offset
		b.Q[i+16] = int8(v>>4|byte(high>>(i+16)&1)<<4) - offset
	}
}

func decodeQ8_0(b *Block, src []byte) {
	b.Scale[0], b.Min[0] = half(src), 0
	for i, v := range src[2:34] {
		b.Q[i] = int8(v)
	}
}
