package quant

// ZeroKind says where a grid of weights has its zero.
type ZeroKind string

// The kinds of zero points.
const (
	ZeroSymmetric  ZeroKind = "symmetric"  // on the integer 2^(b−1): one level more below than above
	ZeroCentred    ZeroKind = "centred"    // half way, (2^b−1)/2: levels ±½, ±1½, … and no zero, but for groups of nothing but zeros
	ZeroAsymmetric ZeroKind = "asymmetric" // an integer of each group, so that the grid spans min to max
)

// ClipHessian is [ClipMSE] with each column's squared errors weighted by how much
// its input matters, E[x²]: the Hessian's diagonal.
const ClipHessian Clip = "hessian"
