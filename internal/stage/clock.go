package stage

// Clock measures how the time spent on a layer is divided among its parts.
type Clock interface {
	// At ends the current part and starts or resumes the named one, which has flops more
	// floating-point operations in matrix products to do.
	At(part string, flops float64)
}

// The parts of the work on a layer.
const (
	PartStatistics = "statistics"
	PartSmoothing  = "smoothing search"
	PartRotation   = "rotation"
	PartMoments    = "second moments"
	PartBasis      = "basis"
	PartBranch     = "branch"
	PartFactor     = "inverse" // the only part with matrix products in float64
	PartScales     = "scales"
	PartSolve      = "rounding"
	PartPack       = "packing"
	PartError      = "error on the sample"
)

// at notifies the clock, if there is one.
func (st *State) at(part string, flops float64) {
	if st.Clock != nil {
		st.Clock.At(part, flops)
	}
}
