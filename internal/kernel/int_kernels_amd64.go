package kernel

// The assembly kernels: bits of the weights, then width in tokens. Each may be
// called only where active says that the CPU has its instructions: intVNNI…
// AVX512VNNI, intFloat512… AVX512, all others AVX2.

//go:noescape
func intVNNI4x12(args *intArgs)

//go:noescape
func intVNNI4x8(args *intArgs)

//go:noescape
func intVNNI4x4(args *intArgs)

//go:noescape
func intVNNI4x2(args *intArgs)

//go:noescape
func intVNNI4x1(args *intArgs)

//go:noescape
func intVNNI8x12(args *intArgs)

//go:noescape
func intVNNI8x8(args *intArgs)

//go:noescape
func intVNNI8x4(args *intArgs)

//go:noescape
func intVNNI8x2(args *intArgs)

//go:noescape
func intVNNI8x1(args *intArgs)

//go:noescape
func intVNNI4x12Whole(args *intArgs)

//go:noescape
func intVNNI8x12Whole(args *intArgs)

//go:noescape
func intAVX2W4x4(args *intArgs)

//go:noescape
func intAVX2W4x2(args *intArgs)

//go:noescape
func intAVX2W4x1(args *intArgs)

//go:noescape
func intAVX2W8x4(args *intArgs)

//go:noescape
func intAVX2W8x2(args *intArgs)

//go:noescape
func intAVX2W8x1(args *intArgs)

//go:noescape
func intFloat512W4x4(args *intArgs)

//go:noescape
func intFloat512W4x2(args *intArgs)

//go:noescape
func intFloat512W4x1(args *intArgs)

//go:noescape
func intFloat512W8x4(args *intArgs)

//go:noescape
func intFloat512W8x2(args *intArgs)

//go:noescape
func intFloat512W8x1(args *intArgs)

//go:noescape
func intFloat256W4x2(args *intArgs)

//go:noescape
func intFloat256W4x1(args *intArgs)

//go:noescape
func intFloat256W8x2(args *intArgs)

//go:noescape
func intFloat256W8x1(args *intArgs)

//go:noescape
func intRangeAVX2(out *[3]float32, x *float32, n int)

//go:noescape
func intQuantizeAVX2(q *int8, x *float32, n int, delta, z, top float32, off int32)

//go:noescape
func intQuantizeAVX512(q *int8, x *float32, n int, delta, inverse, z, top float32, off int32)

//go:noescape
func intSumAVX2(q *int8, n int) int32

// intVNNI, intAVX2, intFloat512 and intFloat256 call the kernel for weights of
// some bits and some tokens.
func intVNNI(args *intArgs, bits, width int) {
	switch bits {
	case 2:
		intVNNI2(args, width)
	case 3:
		intVNNI3(args, width)
	case 4:
		intVNNI4(args, width)
	case 5:
		intVNNI5(args, width)
	case 6:
		intVNNI6(args, width)
	case 7:
		intVNNI7(args, width)
	case 8:
		intVNNI8(args, width)
	}
}

func intAVX2(args *intArgs, bits, width int) {
	switch bits {
	case 2:
		intAVX2W2(args, width)
	case 3:
		intAVX2W3(args, width)
	case 4:
		intAVX2W4(args, width)
	case 5:
		intAVX2W5(args, width)
	case 6:
		intAVX2W6(args, width)
	case 7:
		intAVX2W7(args, width)
	case 8:
		intAVX2W8(args, width)
	}
}

// intVNNIWhole calls the kernel for 12 tokens and rows of 4 or 8 bits that are one
// group.
func intVNNIWhole(args *intArgs, bits int) {
	if bits == 4 {
		intVNNI4x12Whole(args)
	} else {
		intVNNI8x12Whole(args)
	}
}

func intVNNI4(args *intArgs, width int) {
	switch width {
	case 12:
		intVNNI4x12(args)
	case 8:
		intVNNI4x8(args)
	case 4:
		intVNNI4x4(args)
	case 2:
		intVNNI4x2(args)
	case 1:
		intVNNI4x1(args)
	}
}

func intVNNI8(args *intArgs, width int) {
	switch width {
	case 12:
		intVNNI8x12(args)
	case 8:
		intVNNI8x8(args)
	case 4:
		intVNNI8x4(args)
	case 2:
		intVNNI8x2(args)
	case 1:
		intVNNI8x1(args)
	}
}

func intAVX2W4(args *intArgs, width int) {
	switch width {
	case 4:
		intAVX2W4x4(args)
	case 2:
		intAVX2W4x2(args)
	case 1:
		intAVX2W4x1(args)
	}
}

func intAVX2W8(args *intArgs, width int) {
	switch width {
	case 4:
		intAVX2W8x4(args)
	case 2:
		intAVX2W8x2(args)
	case 1:
		intAVX2W8x1(args)
	}
}

func intFloat512(args *intArgs, bits, width int) {
	switch {
	case bits == 2 && width == 4:
		intFloat512W2x4(args)
	case bits == 2 && width == 2:
		intFloat512W2x2(args)
	case bits == 2 && width == 1:
		intFloat512W2x1(args)
	case bits == 3 && width == 4:
		intFloat512W3x4(args)
	case bits == 3 && width == 2:
		intFloat512W3x2(args)
	case bits == 3 && width == 1:
		intFloat512W3x1(args)
	case bits == 4 && width == 4:
		intFloat512W4x4(args)
	case bits == 4 && width == 2:
		intFloat512W4x2(args)
	case bits == 4 && width == 1:
		intFloat512W4x1(args)
	case bits == 8 && width == 4:
		intFloat512W8x4(args)
	case bits == 8 && width == 2:
		intFloat512W8x2(args)
	case bits == 8 && width == 1:
		intFloat512W8x1(args)
	}
}

func intFloat256(args *intArgs, bits, width int) {
	switch {
	case bits == 2 && width == 2:
		intFloat256W2x2(args)
	case bits == 2 && width == 1:
		intFloat256W2x1(args)
	case bits == 3 && width == 2:
		intFloat256W3x2(args)
	case bits == 3 && width == 1:
		intFloat256W3x1(args)
	case bits == 4 && width == 2:
		intFloat256W4x2(args)
	case bits == 4 && width == 1:
		intFloat256W4x1(args)
	case bits == 8 && width == 2:
		intFloat256W8x2(args)
	case bits == 8 && width == 1:
		intFloat256W8x1(args)
	}
}
