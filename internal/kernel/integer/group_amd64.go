package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/cpu"
	"github.com/specquant/specquant/internal/kernel/shape"
)

// intUnit are the scales of the tokens that a routine is given if it is not to scale the
// result, because the parts have been scaled.
var intUnit = func() (s [intTokens]float32) {
	for i := range s {
		s[i] = 1
	}
	return s
}()

// group sets what depends on the activations' groups of channels, after [intArgs.weights].
// The tokens then have neither a scale nor a zero point of their own.
func (args *intArgs) group(w *Matrix, a *Activations, bits int) (parts int) {
	_, size := intGroups(w.Cols, w.Group)
	parts, part := intParts(w.Cols, w.Group, a.ActGroup)
	step := intStep(bits)
	args.steps = part / step
	args.last = shape.CeilDiv(w.Cols, step) - (parts-1)*args.steps
	args.parts, args.left = size/part, 0 // kernels set left, group by group
	if args.groups == 1 {
		args.parts = parts
	}
	args.lastParts = parts - (args.groups-1)*args.parts
	args.sumNext = uintptr(parts) * unsafe.Sizeof(intActSum{})
	args.sx, args.zx = unsafe.Pointer(&intUnit), unsafe.Pointer(&intNoShift)
	args.rowSum, args.rowNext = unsafe.Pointer(&intNoShift), 0
	return parts
}

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
