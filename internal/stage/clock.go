package stage

// Clock measures how the time spent on a layer is divided among its parts.
type Clock interface {
	// At ends the current part and starts or resumes the named one, which has flops more
	// floating-point operations in matrix products to do.
	At(part string, flops float64)
}

// The parts of the work on a layer or block.
const (
	PartForward    = "forward passes of calibration"
	PartStatistics = "statistics"
	PartKeys       = "balanced keys"
	PartSmoothing  = "smoothing search"
	PartRotation   = "rotation"
	PartTransforms = "transforms of activations"
	PartMoments    = "second moments (Hessians)"
	PartBasis      = "basis"
	PartBranch     = "branch"
	PartFactor     = "factor of the inverse" // the only one with products in float64
	PartScales     = "grids and clips"
	PartSolve      = "rounding (GPTQ)"
	PartPack       = "encoding"
	PartError      = "error on the sample"
	PartLearning   = "learning"
	PartHead       = "output matrix"
)

// at notifies the clock, if there is one.
func (st *State) at(part string, flops float64) {
	if st.Clock != nil {
		st.Clock.At(part, flops)
	}
}
