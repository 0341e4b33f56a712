package kernel

// intTilePortable defines the integer kernels: the product of token t with row
// tile `tile`, 16 values.
func intTilePortable(y *[intLanes]float32, w *IntMatrix, a *Activations, tile, t int) {
	groups, size := intGroups(w.Cols, w.Group)
	step, off := intStep(w.Bits), intOffset(w.Bits)
	tiles := w.Tiles[tile*intCeil(w.Cols, step)*64:]
	q := a.Q[t*a.Stride : (t+1)*a.Stride]
	*y = [intLanes]float32{}
	for g := range groups {
		var dot [intLanes]int32
		for k := g * size; k < min(w.Cols, (g+1)*size); k += step {
			b, x := tiles[k/step*64:][:64], q[k:][:step]
			if w.Bits == 4 {
				for lane := range dot {
					for j := range 4 {
						u := b[4*lane+j]
						dot[lane] += int32(u&15)*int32(x[j]) + int32(u>>4)*int32(x[4+j])
					}
				}
			} else {
				for lane := range dot {
					for j := range 4 {
						dot[lane] += int32(b[4*lane+j]) * int32(x[j])
					}
				}
			}
		}
		shift := off * a.Sum[t*groups+g]
		s := w.Scale[(tile*groups+g)*intLanes:][:intLanes]
		for lane := range dot {
			// float32(): no fusing into a multiply-add on any machine.
			y[lane] += float32(s[lane] * float32(dot[lane]-shift))
		}
	}
	sx, zx := a.Scale[t], float32(a.Zero[t])
	sum := w.RowSum[tile*intLanes:][:intLanes]
	for lane := range y {
		y[lane] = sx * (y[lane] - float32(zx*sum[lane]))
	}
}

// intFloatTilePortable is the product of the float token x with row tile
// `tile`, 16 values. x covers the padded columns.
func intFloatTilePortable(y *[intLanes]float32, w *IntMatrix, x []float32, tile int) {
	groups, size := intGroups(w.Cols, w.Group)
	step, off := intStep(w.Bits), intOffset(w.Bits)
	tiles := w.Tiles[tile*intCeil(w.Cols, step)*64:]
	*y = [intLanes]float32{}
	for g := range groups {
		var dot [intLanes]float32
		for k := g * size; k < min(w.Cols, (g+1)*size); k++ {
			b, v := tiles[k/step*64:][:64], x[k]
			shift := 0
			if w.Bits == 4 {
				shift = k % 8 / 4 * 4
			}
			for lane := range dot {
				u := int32(b[4*lane+k%4])
				if w.Bits == 4 {
					u = u >> shift & 15
				}
				dot[lane] += float32(float32(u-off) * v)
			}
		}
		s := w.Scale[(tile*groups+g)*intLanes:][:intLanes]
		for lane := range dot {
			y[lane] += float32(s[lane] * dot[lane])
		}
	}
}

// intMulPairPortable computes row tiles tile and tile+1 for tokens t0…t1-1.
func intMulPairPortable(pr *intProduct, a *Activations, tile, t0, t1 int) {
	var y [intLanes]float32
	for i := tile; i < min(tile+2, intCeil(pr.w.Rows, intLanes)); i++ {
		for t := t0; t < t1; t++ {
			intTilePortable(&y, pr.w, a, i, t)
			copy(pr.y[t*pr.ldy+i*intLanes:t*pr.ldy+pr.w.Rows], y[:])
			pr.branch(i, 1, t, 1)
		}
	}
}

// intFloatPairPortable is intMulPairPortable for float tokens.
func intFloatPairPortable(pr *intProduct, x []float32, ldx, tile, t0, t1 int) {
	var y [intLanes]float32
	for i := tile; i < min(tile+2, intCeil(pr.w.Rows, intLanes)); i++ {
		for t := t0; t < t1; t++ {
			intFloatTilePortable(&y, pr.w, x[t*ldx:], i)
			copy(pr.y[t*pr.ldy+i*intLanes:t*pr.ldy+pr.w.Rows], y[:])
			pr.branch(i, 1, t, 1)
		}
	}
}
