package float

import "unsafe"

// The portable register kernels. They define what the assembly computes, except that they
// round every product, which the assembly does not (it fuses multiplication and
// addition). The conversions T(…) keep the compiler from fusing, so that all machines
// without assembly get the same bits.

// portableWidth is the number of columns of their panels.
const portableWidth = 4

func portableSet[T real]() microSet {
	m := microSet{width: portableWidth, height: 2}
	m.fn[1] = microGo1[T]
	m.fn[2] = microGo2[T]
	return m
}

var portable32, portable64 = portableSet[float32](), portableSet[float64]()

// microGo1 is the [microKernel] for one row.
func microGo1[T real](kc int, a unsafe.Pointer, _ int, b unsafe.Pointer, ldb int, c unsafe.Pointer, _ int, update int) {
	as := unsafe.Slice((*T)(a), kc)
	bs := unsafe.Slice((*T)(b), (kc-1)*ldb+portableWidth)
	var s [portableWidth]T
	for p, x := range as {
		r := bs[p*ldb:][:portableWidth]
		s[0] += T(x * r[0])
		s[1] += T(x * r[1])
		s[2] += T(x * r[2])
		s[3] += T(x * r[3])
	}
	mergeRow(unsafe.Slice((*T)(c), portableWidth), s[:], update)
}

// microGo2 is the [microKernel] for two rows.
func microGo2[T real](kc int, a unsafe.Pointer, lda int, b unsafe.Pointer, ldb int, c unsafe.Pointer, ldc int, update int) {
	as := unsafe.Slice((*T)(a), lda+kc)
	a0, a1 := as[:kc], as[lda:][:kc]
	bs := unsafe.Slice((*T)(b), (kc-1)*ldb+portableWidth)
	var s00, s01, s02, s03, s10, s11, s12, s13 T
	for p, x := range a0 {
		y := a1[p]
		r := bs[p*ldb:][:portableWidth]
		s00 += T(x * r[0])
		s10 += T(y * r[0])
		s01 += T(x * r[1])
		s11 += T(y * r[1])
		s02 += T(x * r[2])
		s12 += T(y * r[2])
		s03 += T(x * r[3])
		s13 += T(y * r[3])
	}
	cs := unsafe.Slice((*T)(c), ldc+portableWidth)
	mergeRow(cs[:portableWidth], []T{s00, s01, s02, s03}, update)
	mergeRow(cs[ldc:][:portableWidth], []T{s10, s11, s12, s13}, update)
}
