package quant

// ZeroKind is where a grid of weights has its zero point.
type ZeroKind string

// The kinds of zero points.
const (
	ZeroSymmetric  ZeroKind = "symmetric"  // on the integer 2^(b−1): one more level below zero than above
	ZeroCentred    ZeroKind = "centred"    // half way between levels, (2^b−1)/2: levels ±½, ±1½, …; zero is no level, but all-zero groups still decode to zeros
	ZeroAsymmetric ZeroKind = "asymmetric" // an integer stored for each group, so that the grid spans min to max
)

// ScaleKind is how the scales of a row's groups are stored; "" is halves.
type ScaleKind string

// The kinds of scales.
const (
	ScalesHalves    ScaleKind = "halves"    // a 16-bit float for each group
	ScalesMultiples ScaleKind = "multiples" // see [Grid.Multiples]
)

// IsZero reports whether the scales are 16-bit floats, which files do not mention.
func (k ScaleKind) IsZero() bool { return k != ScalesMultiples }

// ClipHessian is [ClipMSE] with each column's squared errors weighted by the mean square of
// its input, E[x²], the Hessian's diagonal.
const ClipHessian Clip = "hessian"
