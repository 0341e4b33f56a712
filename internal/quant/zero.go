package quant

// ZeroKind is where a grid of weights has its zero point.
type ZeroKind string

// The kinds of zero points.
const (
	ZeroSymmetric  ZeroKind = "symmetric"  // on the integer 2^(b−1): one more level below zero than above
	ZeroCentred    ZeroKind = "centred"    // half way between levels, (2^b−1)/2: levels ±½, ±1½, …; zero is no level, but all-zero groups still decode to zeros
	ZeroAsymmetric ZeroKind = "asymmetric" // an integer stored for each group, so that the grid spans min to max
)

// ClipHessian is [ClipMSE] with each column's squared errors weighted by the mean square of
// its input, E[x²], the Hessian's diagonal.
const ClipHessian Clip = "hessian"
