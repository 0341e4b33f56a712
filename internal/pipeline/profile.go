package pipeline

// The parts of a job in its profile, in addition to those of package stage.
const (
	partChecking  = "checking the checkpoint"
	partReading   = "reading"
	partWriting   = "writing"
	partBetween   = "between blocks"
	partTables    = "embedding and output matrix"
	partComparing = "comparison with full precision"
)
