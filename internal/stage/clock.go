package stage

// Clock is told where the time of a layer goes.
type Clock interface {
	// At ends the part under way and begins, or takes up, the named one, whose matrix
	// products have so many floating-point operations more to do.
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
	PartFactor     = "inverse" // the only one with products in float64
	PartScales     = "scales"
	PartSolve      = "rounding"
	PartPack       = "packing"
	PartError      = "error on the sample"
)

// at tells the clock, if there is one.
func (st *State) at(part string, flops float64) {
	if st.Clock != nil {
		st.Clock.At(part, flops)
	}
}
