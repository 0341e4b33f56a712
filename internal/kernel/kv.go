package kernel

// Attention over the quantized cache, one head at a time, without expanding
// it. A cached vector is minimum + scale·q with the integers q packed as in
// quant.KV: head_dim bytes in 8 bits, or two values a byte, even index low, in
// 4 bits.

// KVScores writes the n dot products of the query q [head_dim] with the cached
// keys: dst[j] = minimum[j]·Σq + scale[j]·Σ_i q_i·k_ji, the sums in ascending
// order of i.
func KVScores(dst, q []float32, packed []byte, scale, minimum []uint16, bits, n int) {
	var total float32
	for _, v := range q {
		total += v
	}
	stride := len(q) * bits / 8
	for j := range n {
		row := packed[j*stride:][:stride]
		var sum float32
		if bits == 4 {
			for i, b := range row {
				sum += float32(q[2*i]*float32(b&15)) + float32(q[2*i+1]*float32(b>>4))
			}
		} else {
			for i, b := range row {
				sum += q[i] * float32(b)
			}
		}
		dst[j] = float32(f16ToF32(minimum[j])*total) + float32(f16ToF32(scale[j])*sum)
	}
}

// KVCombine writes dst [head_dim] = Σ_j p_j·v_j over the n cached values, j
// ascending.
func KVCombine(dst, p []float32, packed []byte, scale, minimum []uint16, bits, n int) {
	clear(dst)
	stride := len(dst) * bits / 8
	var base float32
	for j := range n {
		row := packed[j*stride:][:stride]
		base += p[j] * f16ToF32(minimum[j])
		w := p[j] * f16ToF32(scale[j])
		if bits == 4 {
			for i, b := range row {
				dst[2*i] += w * float32(b&15)
				dst[2*i+1] += w * float32(b>>4)
			}
			continue
		}
		for i, b := range row {
			dst[i] += w * float32(b)
		}
	}
	for i := range dst {
		dst[i] += base
	}
}
