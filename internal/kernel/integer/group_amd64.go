package integer

import "github.com/specquant/specquant/internal/kernel/cpu"

// onePart reports, after [intArgs.group], whether each group of the weights is one part.
// There are routines for this case.
func (args *intArgs) onePart() bool { return args.parts == 1 && args.lastParts == 1 }

// intLevelTokens is the number of tokens up to which the kernels for AVX-512 VNNI look levels
// up as they go: twice those of the widest. For more a pair of row tiles is unpacked to bytes
// once.
const intLevelTokens = 2 * intTokens

// intLevelsInPlace reports whether there are kernels that look up the levels of w while they
// multiply it with a: those for groups of channels, with AVX-512 where each group of
// the weights is one part.
func intLevelsInPlace(w *Matrix, a *Activations) bool {
	if a.ActGroup == 0 || !ByteGroups() {
		return false
	}
	groups, _ := intGroups(w.Cols, w.Group)
	parts, _ := intParts(w.Cols, w.Group, a.ActGroup)
	return parts == groups || cpu.Active() == cpu.AVXVNNI
}

// The routines that multiply many row tiles with a single token.
const (
	intOneNone   = iota
	intOneToken  // intVNNI
	intOneFine   // intVNNIFine
	intOneLevels // intVNNILevels
	intOneHalf   // intVNNIHalf
)

// intOneKind returns which of these routines multiplies row tiles of w with a single token.
func intOneKind(w *Matrix, a *Activations) int {
	if cpu.Active() < cpu.AVX512VNNI {
		return intOneNone
	}
	if w.multiples != nil {
		return intOneNone
	}
	if w.levels != nil {
		if intLevelsInPlace(w, a) {
			return intOneLevels
		}
		return intOneNone
	}
	if a.ActGroup == 0 {
		if intPlanar(w.Bits) && !w.wholeSteps() {
			return intOneNone
		}
		return intOneToken
	}
	groups, _ := intGroups(w.Cols, w.Group)
	parts, part := intParts(w.Cols, w.Group, a.ActGroup)
	switch {
	case parts != groups: // a group is one part, or all of a row is one group of several
		return intOneNone
	case !intPlanar(w.Bits) || part%intPlaneStep == 0:
		return intOneFine
	case part == intPlaneStep/2 && w.Cols%intPlaneStep == 0:
		return intOneHalf
	}
	return intOneNone
}
