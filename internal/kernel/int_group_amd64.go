package kernel

import "unsafe"

// The assembly kernels for activations in groups of channels: see int_group.go
// and int_kernels_amd64.go.

//go:noescape
func intVNNIGroup4x12(args *intArgs)

//go:noescape
func intVNNIGroup4x8(args *intArgs)

//go:noescape
func intVNNIGroup4x4(args *intArgs)

//go:noescape
func intVNNIGroup4x2(args *intArgs)

//go:noescape
func intVNNIGroup4x1(args *intArgs)

//go:noescape
func intVNNIGroup8x12(args *intArgs)

//go:noescape
func intVNNIGroup8x8(args *intArgs)

//go:noescape
func intVNNIGroup8x4(args *intArgs)

//go:noescape
func intVNNIGroup8x2(args *intArgs)

//go:noescape
func intVNNIGroup8x1(args *intArgs)

//go:noescape
func intAVX2Group4x4(args *intArgs)

//go:noescape
func intAVX2Group4x2(args *intArgs)

//go:noescape
func intAVX2Group4x1(args *intArgs)

//go:noescape
func intAVX2Group8x4(args *intArgs)

//go:noescape
func intAVX2Group8x2(args *intArgs)

//go:noescape
func intAVX2Group8x1(args *intArgs)

// intVNNIGroup and intAVX2Group call the kernel for weights of 4 or 8 bits and
// some tokens.
func intVNNIGroup(args *intArgs, bits, width int) {
	switch {
	case bits == 4 && width == 12:
		intVNNIGroup4x12(args)
	case bits == 4 && width == 8:
		intVNNIGroup4x8(args)
	case bits == 4 && width == 4:
		intVNNIGroup4x4(args)
	case bits == 4 && width == 2:
		intVNNIGroup4x2(args)
	case bits == 4 && width == 1:
		intVNNIGroup4x1(args)
	case bits == 8 && width == 12:
		intVNNIGroup8x12(args)
	case bits == 8 && width == 8:
		intVNNIGroup8x8(args)
	case bits == 8 && width == 4:
		intVNNIGroup8x4(args)
	case bits == 8 && width == 2:
		intVNNIGroup8x2(args)
	case bits == 8 && width == 1:
		intVNNIGroup8x1(args)
	}
}

func intAVX2Group(args *intArgs, bits, width int) {
	switch {
	case bits == 4 && width == 4:
		intAVX2Group4x4(args)
	case bits == 4 && width == 2:
		intAVX2Group4x2(args)
	case bits == 4 && width == 1:
		intAVX2Group4x1(args)
	case bits == 8 && width == 4:
		intAVX2Group8x4(args)
	case bits == 8 && width == 2:
		intAVX2Group8x2(args)
	case bits == 8 && width == 1:
		intAVX2Group8x1(args)
	}
}

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
