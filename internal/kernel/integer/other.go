//go:build !amd64 && !arm64

package integer

// ByteGroups reports whether this machine has fast products with activations of 8 bits
// in groups of channels. Without, they are right but slow.
func ByteGroups() bool { return false }

func intMulPair(pr *intProduct, a *Activations, tile, t0, t1 int) {
	intMulPairPortable(pr, a, tile, t0, t1)
}

func intFloatPair(pr *intProduct, x []float32, ldx, tile, t0, t1 int) {
	intFloatPairPortable(pr, x, ldx, tile, t0, t1)
}

func intQuantize(q []int8, x []float32, delta, z, top float32, off int32) {
	intQuantizePortable(q, x, delta, z, top, off)
}

func intSum(q []int8) int32 { return intSumPortable(q) }

// intMulOne does nothing: this architecture has no kernel for many row tiles and one token.
func intMulOne(_ *intProduct, _ *Activations, tile, _ int) int { return tile }

// intMulAMX does nothing: this architecture has no AMX.
func intMulAMX(_ *intProduct, _ *Activations, tile, _, _, _ int) int { return tile }

// intMulMultiples does nothing: this architecture has no kernel for weights with multiples as they
// are stored.
func intMulMultiples(_ *intProduct, _ *Activations, tile, _, _, _ int) int { return tile }
