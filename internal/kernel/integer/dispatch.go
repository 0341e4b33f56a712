//go:build amd64 || arm64

package integer

import (
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// What the choice of a routine has in common on all architectures with assembly.

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
	args.sx, args.zx = unsafe.Pointer(&intUnit), unsafe.Pointer(&intNothing)
	args.rowSum = unsafe.Pointer(&intNothing)
	return parts
}

// from sets which tokens come next: those from t on. parts is what group returned, 0 if the
// activations are not in groups of channels.
func (args *intArgs) from(a *Activations, t, parts int) {
	args.q = unsafe.Pointer(&a.Q[t*a.Stride])
	args.fsum = unsafe.Pointer(&a.fsum[t*args.groups])
	if parts > 0 {
		args.sum, args.total = unsafe.Pointer(&a.parts[t*parts]), parts
		return
	}
	args.sum = unsafe.Pointer(&a.shift[t*args.groups])
	args.sx, args.zx = unsafe.Pointer(&a.Scale[t]), unsafe.Pointer(&a.Zero[t])
}

// wholeSteps reports whether groups of the weights end where steps end, so that routines can
// read bit planes where they are. Otherwise the planes are unpacked to bytes first.
func (w *Matrix) wholeSteps() bool {
	groups, size := intGroups(w.Cols, w.Group)
	return groups == 1 || size%intStep(w.Bits) == 0
}
