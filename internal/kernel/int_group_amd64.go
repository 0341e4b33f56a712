package kernel

import "unsafe"

// intUnit are the tokens' scales where a kernel is not to scale the result.
var intUnit = func() (s [intTokens]float32) {
	for i := range s {
		s[i] = 1
	}
	return s
}()

// group fills in what depends on the groups of channels; weights comes before.
// The tokens have neither a scale nor a zero point of their own.
func (args *intArgs) group(w *IntMatrix, a *Activations, bits int) (parts int) {
	_, size := intGroups(w.Cols, w.Group)
	parts, part := intParts(w.Cols, w.Group, a.ActGroup)
	step := intStep(bits)
	args.steps = part / step
	args.last = intCeil(w.Cols, step) - (parts-1)*args.steps
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
