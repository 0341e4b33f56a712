package integer

// UnpackRow sets q [cols] to the signed integers of a row of a matrix, whose tiles are in the
// layout of [PackTiles]. It looks up embeddings in a matrix that is also the output matrix.
// bits is 2 to 8.
func UnpackRow(q []int8, bits int, tiles []byte, row, cols int) {
	q = q[:cols]
	size, lane := intTileBytes(bits, cols), 4*(row%intLanes)
	tile := tiles[row/intLanes*size:][:size]
	off := intOffset(bits)
	if !intPlanar(bits) {
		step := intStep(bits)
		for c := range q {
			b := tile[c/step*64+lane+c%4]
			if bits == 4 {
				b = b >> (c % 8 / 4 * 4) & 15
			}
			q[c] = int8(int32(b) - off)
		}
		return
	}
	for first := 0; first < cols; first += intPlaneStep {
		planes := tile[first/intPlaneStep*64*bits:][:64*bits]
		for s := range intPlaneStep / intPlaneCols {
			var u [intPlaneCols]byte
			rest, low := planes, 0
			for _, p := range intPlaneWidths {
				if bits&p == 0 {
					continue
				}
				at, shift := intField(p, s)
				for n, b := range rest[at+lane:][:intPlaneCols] {
					u[n] += b >> shift & (1<<p - 1) << low
				}
				rest, low = rest[64*p:], low+p
			}
			for n := range min(intPlaneCols, cols-first-s*intPlaneCols) {
				q[first+s*intPlaneCols+n] = int8(int32(u[n]) - off)
			}
		}
	}
}
