package kernel

// The assembly kernels for weights in bit planes, named as those in
// int_kernels_amd64.go.

//go:noescape
func intVNNI2x8(args *intArgs)

//go:noescape
func intVNNI2x4(args *intArgs)

//go:noescape
func intVNNI2x2(args *intArgs)

//go:noescape
func intVNNI2x1(args *intArgs)

//go:noescape
func intVNNI3x8(args *intArgs)

//go:noescape
func intVNNI3x4(args *intArgs)

//go:noescape
func intVNNI3x2(args *intArgs)

//go:noescape
func intVNNI3x1(args *intArgs)

//go:noescape
func intVNNI5x8(args *intArgs)

//go:noescape
func intVNNI5x4(args *intArgs)

//go:noescape
func intVNNI5x2(args *intArgs)

//go:noescape
func intVNNI5x1(args *intArgs)

//go:noescape
func intVNNI6x8(args *intArgs)

//go:noescape
func intVNNI6x4(args *intArgs)

//go:noescape
func intVNNI6x2(args *intArgs)

//go:noescape
func intVNNI6x1(args *intArgs)

//go:noescape
func intVNNI7x8(args *intArgs)

//go:noescape
func intVNNI7x4(args *intArgs)

//go:noescape
func intVNNI7x2(args *intArgs)

//go:noescape
func intVNNI7x1(args *intArgs)

//go:noescape
func intAVX2W2x4(args *intArgs)

//go:noescape
func intAVX2W2x2(args *intArgs)

//go:noescape
func intAVX2W2x1(args *intArgs)

//go:noescape
func intAVX2W3x4(args *intArgs)

//go:noescape
func intAVX2W3x2(args *intArgs)

//go:noescape
func intAVX2W3x1(args *intArgs)

//go:noescape
func intAVX2W5x4(args *intArgs)

//go:noescape
func intAVX2W5x2(args *intArgs)

//go:noescape
func intAVX2W5x1(args *intArgs)

//go:noescape
func intAVX2W6x4(args *intArgs)

//go:noescape
func intAVX2W6x2(args *intArgs)

//go:noescape
func intAVX2W6x1(args *intArgs)

//go:noescape
func intAVX2W7x4(args *intArgs)

//go:noescape
func intAVX2W7x2(args *intArgs)

//go:noescape
func intAVX2W7x1(args *intArgs)

//go:noescape
func intFloat512W2x4(args *intArgs)

//go:noescape
func intFloat512W2x2(args *intArgs)

//go:noescape
func intFloat512W2x1(args *intArgs)

//go:noescape
func intFloat512W3x4(args *intArgs)

//go:noescape
func intFloat512W3x2(args *intArgs)

//go:noescape
func intFloat512W3x1(args *intArgs)

//go:noescape
func intFloat256W2x2(args *intArgs)

//go:noescape
func intFloat256W2x1(args *intArgs)

//go:noescape
func intFloat256W3x2(args *intArgs)

//go:noescape
func intFloat256W3x1(args *intArgs)

//go:noescape
func intUnpack512W2(args *intUnpackArgs)

//go:noescape
func intUnpack512W3(args *intUnpackArgs)

//go:noescape
func intUnpack512W5(args *intUnpackArgs)

//go:noescape
func intUnpack512W6(args *intUnpackArgs)

//go:noescape
func intUnpack512W7(args *intUnpackArgs)

//go:noescape
func intUnpackAVX2W2(args *intUnpackArgs)

//go:noescape
func intUnpackAVX2W3(args *intUnpackArgs)

//go:noescape
func intUnpackAVX2W5(args *intUnpackArgs)

//go:noescape
func intUnpackAVX2W6(args *intUnpackArgs)

//go:noescape
func intUnpackAVX2W7(args *intUnpackArgs)

//go:noescape
func intStart512x12(args *intStartArgs)

//go:noescape
func intStart512x4(args *intStartArgs)

//go:noescape
func intStart512x1(args *intStartArgs)

//go:noescape
func intStartAVX2x4(args *intStartArgs)

//go:noescape
func intStartAVX2x1(args *intStartArgs)

func intVNNI2(args *intArgs, width int) {
	switch width {
	case 8:
		intVNNI2x8(args)
	case 4:
		intVNNI2x4(args)
	case 2:
		intVNNI2x2(args)
	case 1:
		intVNNI2x1(args)
	}
}

func intVNNI3(args *intArgs, width int) {
	switch width {
	case 8:
		intVNNI3x8(args)
	case 4:
		intVNNI3x4(args)
	case 2:
		intVNNI3x2(args)
	case 1:
		intVNNI3x1(args)
	}
}

func intVNNI5(args *intArgs, width int) {
	switch width {
	case 8:
		intVNNI5x8(args)
	case 4:
		intVNNI5x4(args)
	case 2:
		intVNNI5x2(args)
	case 1:
		intVNNI5x1(args)
	}
}

func intVNNI6(args *intArgs, width int) {
	switch width {
	case 8:
		intVNNI6x8(args)
	case 4:
		intVNNI6x4(args)
	case 2:
		intVNNI6x2(args)
	case 1:
		intVNNI6x1(args)
	}
}

func intVNNI7(args *intArgs, width int) {
	switch width {
	case 8:
		intVNNI7x8(args)
	case 4:
		intVNNI7x4(args)
	case 2:
		intVNNI7x2(args)
	case 1:
		intVNNI7x1(args)
	}
}

func intAVX2W2(args *intArgs, width int) {
	switch width {
	case 4:
		intAVX2W2x4(args)
	case 2:
		intAVX2W2x2(args)
	case 1:
		intAVX2W2x1(args)
	}
}

func intAVX2W3(args *intArgs, width int) {
	switch width {
	case 4:
		intAVX2W3x4(args)
	case 2:
		intAVX2W3x2(args)
	case 1:
		intAVX2W3x1(args)
	}
}

func intAVX2W5(args *intArgs, width int) {
	switch width {
	case 4:
		intAVX2W5x4(args)
	case 2:
		intAVX2W5x2(args)
	case 1:
		intAVX2W5x1(args)
	}
}

func intAVX2W6(args *intArgs, width int) {
	switch width {
	case 4:
		intAVX2W6x4(args)
	case 2:
		intAVX2W6x2(args)
	case 1:
		intAVX2W6x1(args)
	}
}

func intAVX2W7(args *intArgs, width int) {
	switch width {
	case 4:
		intAVX2W7x4(args)
	case 2:
		intAVX2W7x2(args)
	case 1:
		intAVX2W7x1(args)
	}
}

func intUnpack512(args *intUnpackArgs, bits int) {
	switch bits {
	case 2:
		intUnpack512W2(args)
	case 3:
		intUnpack512W3(args)
	case 5:
		intUnpack512W5(args)
	case 6:
		intUnpack512W6(args)
	case 7:
		intUnpack512W7(args)
	}
}

func intUnpackAVX2(args *intUnpackArgs, bits int) {
	switch bits {
	case 2:
		intUnpackAVX2W2(args)
	case 3:
		intUnpackAVX2W3(args)
	case 5:
		intUnpackAVX2W5(args)
	case 6:
		intUnpackAVX2W6(args)
	case 7:
		intUnpackAVX2W7(args)
	}
}
