package pipeline

// The parts of a job beside those of package stage, for its profile.
const (
	partChecking  = "checking the checkpoint"
	partReading   = "reading"
	partWriting   = "writing"
	partBetween   = "between blocks"
	partTables    = "embedding and output matrix"
	partComparing = "comparison with full precision"
)
