package integer

import "github.com/specquant/specquant/internal/kernel/shape"

// intTiles is the place of one row tile's integers in memory. They have 4 or 8 bits: bit
// planes and indices into a table of levels are unpacked first.
type intTiles struct {
	bits int
	data []byte // from the tile's first step on
}

// tiles returns the place of row tile `tile`: in u if the weights were unpacked.
func (w *Matrix) tiles(u *intUnpacked, tile int) intTiles {
	if u != nil {
		return intTiles{8, u.data[(tile-u.first)*u.next:]}
	}
	return intTiles{w.Bits, w.Tiles[tile*intTileBytes(w.Bits, w.Cols):]}
}

// intDotPortable adds Σ u·q over columns k…end-1 to dot, for each row of the tile. k is the
// first column of a step.
func intDotPortable(dot *[intLanes]int32, tiles intTiles, q []int8, k, end int) {
	for step := intStep(tiles.bits); k < end; k += step {
		b, x := tiles.data[k/step*64:][:64], q[k:][:step]
		if tiles.bits == 4 {
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
}

// addScaled adds the products v of the rows of a tile with a group to y, times the group's
// scales, those of index at.
func (w *Matrix) addScaled(y, v *[intLanes]float32, at int) {
	var buf [intLanes]float32
	for lane, s := range w.scaleAt(&buf, at) {
		// The conversion keeps the compiler from fusing product and sum.
		y[lane] += float32(s * v[lane])
	}
}

// intTilePortable is the definition of the int8 product: it sets y to the product of token t
// with the 16 rows of a tile.
func intTilePortable(y *[intLanes]float32, w *Matrix, tiles intTiles, a *Activations, tile, t int) {
	groups, size := intGroups(w.Cols, w.Group)
	off := intOffset(tiles.bits)
	q := a.Q[t*a.Stride : (t+1)*a.Stride]
	*y = [intLanes]float32{}
	for g := range groups {
		var dot [intLanes]int32
		intDotPortable(&dot, tiles, q, g*size, min(w.Cols, (g+1)*size))
		below, at := off*a.Sum[t*groups+g], tile*groups+g
		var v [intLanes]float32
		for lane := range dot {
			v[lane] = float32(dot[lane] - below)
		}
		w.unshift(&v, at, a.fsum[t*groups+g])
		w.addScaled(y, &v, at)
	}
	sx, zx := a.Scale[t], float32(a.Zero[t])
	sum := w.RowSum[tile*intLanes:][:intLanes]
	for lane := range y {
		y[lane] = sx * (y[lane] - float32(zx*sum[lane]))
	}
}

// intFloatTilePortable sets y to the product of the float token x with the 16 rows of a tile.
// x has the padded number of columns. sums are its group sums, or nil if the weights have no
// zero points.
func intFloatTilePortable(y *[intLanes]float32, w *Matrix, tiles intTiles, x, sums []float32, tile int) {
	groups, size := intGroups(w.Cols, w.Group)
	step, off := intStep(tiles.bits), intOffset(tiles.bits)
	*y = [intLanes]float32{}
	for g := range groups {
		var dot [intLanes]float32
		for k := g * size; k < min(w.Cols, (g+1)*size); k++ {
			b, v := tiles.data[k/step*64:][:64], x[k]
			shift := 0
			if tiles.bits == 4 {
				shift = k % 8 / 4 * 4
			}
			for lane := range dot {
				u := int32(b[4*lane+k%4])
				if tiles.bits == 4 {
					u = u >> shift & 15
				}
				dot[lane] += float32(float32(u-off) * v)
			}
		}
		if sums != nil {
			w.unshift(&dot, tile*groups+g, sums[g])
		}
		w.addScaled(y, &dot, tile*groups+g)
	}
}

// intMulPairPortable multiplies row tiles tile and tile+1 with tokens t0…t1-1.
func intMulPairPortable(pr *intProduct, a *Activations, tile, t0, t1 int) {
	mul := intTilePortable
	if a.ActGroup > 0 {
		mul = intGroupTilePortable
	}
	intPairPortable(pr, tile, t0, t1, func(y *[intLanes]float32, tiles intTiles, i, t int) {
		mul(y, pr.w, tiles, a, i, t)
	})
}

// intFloatPairPortable is intMulPairPortable for float tokens.
func intFloatPairPortable(pr *intProduct, x []float32, ldx, tile, t0, t1 int) {
	groups, _ := intGroups(pr.w.Cols, pr.w.Group)
	intPairPortable(pr, tile, t0, t1, func(y *[intLanes]float32, tiles intTiles, i, t int) {
		var sums []float32
		if pr.sums != nil {
			sums = pr.sums[t*groups:]
		}
		intFloatTilePortable(y, pr.w, tiles, x[t*ldx:], sums, i)
	})
}

// intPairPortable calls mul for row tiles tile and tile+1 and tokens t0…t1-1, and adds the
// branch.
func intPairPortable(pr *intProduct, tile, t0, t1 int, mul func(y *[intLanes]float32, tiles intTiles, i, t int)) {
	var u *intUnpacked
	if pr.w.packed() {
		u = newIntUnpacked(pr.w, tile, intUnpackPair)
		defer u.free()
	}
	var y [intLanes]float32
	for i := tile; i < min(tile+2, shape.CeilDiv(pr.w.Rows, intLanes)); i++ {
		tiles := pr.w.tiles(u, i)
		for t := t0; t < t1; t++ {
			mul(&y, tiles, i, t)
			copy(pr.y[pr.at(t, i):][:min(intLanes, pr.w.Rows-i*intLanes)], y[:])
			pr.branch(i, 1, t, 1)
		}
	}
}
