package kernel

// The integer kernels for AVX-VNNI, which need [AVXVNNI]; named as those in
// int_kernels_amd64.go.

//go:noescape
func intAVXVNNI2x4(args *intArgs)

//go:noescape
func intAVXVNNI2x2(args *intArgs)

//go:noescape
func intAVXVNNI2x1(args *intArgs)

//go:noescape
func intAVXVNNI3x4(args *intArgs)

//go:noescape
func intAVXVNNI3x2(args *intArgs)

//go:noescape
func intAVXVNNI3x1(args *intArgs)

//go:noescape
func intAVXVNNI4x4(args *intArgs)

//go:noescape
func intAVXVNNI4x2(args *intArgs)

//go:noescape
func intAVXVNNI4x1(args *intArgs)

//go:noescape
func intAVXVNNI5x4(args *intArgs)

//go:noescape
func intAVXVNNI5x2(args *intArgs)

//go:noescape
func intAVXVNNI5x1(args *intArgs)

//go:noescape
func intAVXVNNI6x4(args *intArgs)

//go:noescape
func intAVXVNNI6x2(args *intArgs)

//go:noescape
func intAVXVNNI6x1(args *intArgs)

//go:noescape
func intAVXVNNI7x4(args *intArgs)

//go:noescape
func intAVXVNNI7x2(args *intArgs)

//go:noescape
func intAVXVNNI7x1(args *intArgs)

//go:noescape
func intAVXVNNI8x4(args *intArgs)

//go:noescape
func intAVXVNNI8x2(args *intArgs)

//go:noescape
func intAVXVNNI8x1(args *intArgs)

//go:noescape
func intAVXVNNIGroup4x4(args *intArgs)

//go:noescape
func intAVXVNNIGroup4x2(args *intArgs)

//go:noescape
func intAVXVNNIGroup4x1(args *intArgs)

//go:noescape
func intAVXVNNIGroup8x4(args *intArgs)

//go:noescape
func intAVXVNNIGroup8x2(args *intArgs)

//go:noescape
func intAVXVNNIGroup8x1(args *intArgs)

// intAVXVNNI calls the kernel for weights of some bits and some tokens,
// intAVXVNNIGroup that for tokens in groups of channels.
func intAVXVNNI(args *intArgs, bits, width int) {
	switch bits<<4 | width {
	case 2<<4 | 4:
		intAVXVNNI2x4(args)
	case 2<<4 | 2:
		intAVXVNNI2x2(args)
	case 2<<4 | 1:
		intAVXVNNI2x1(args)
	case 3<<4 | 4:
		intAVXVNNI3x4(args)
	case 3<<4 | 2:
		intAVXVNNI3x2(args)
	case 3<<4 | 1:
		intAVXVNNI3x1(args)
	case 4<<4 | 4:
		intAVXVNNI4x4(args)
	case 4<<4 | 2:
		intAVXVNNI4x2(args)
	case 4<<4 | 1:
		intAVXVNNI4x1(args)
	case 5<<4 | 4:
		intAVXVNNI5x4(args)
	case 5<<4 | 2:
		intAVXVNNI5x2(args)
	case 5<<4 | 1:
		intAVXVNNI5x1(args)
	case 6<<4 | 4:
		intAVXVNNI6x4(args)
	case 6<<4 | 2:
		intAVXVNNI6x2(args)
	case 6<<4 | 1:
		intAVXVNNI6x1(args)
	case 7<<4 | 4:
		intAVXVNNI7x4(args)
	case 7<<4 | 2:
		intAVXVNNI7x2(args)
	case 7<<4 | 1:
		intAVXVNNI7x1(args)
	case 8<<4 | 4:
		intAVXVNNI8x4(args)
	case 8<<4 | 2:
		intAVXVNNI8x2(args)
	case 8<<4 | 1:
		intAVXVNNI8x1(args)
	}
}

func intAVXVNNIGroup(args *intArgs, bits, width int) {
	switch bits<<4 | width {
	case 4<<4 | 4:
		intAVXVNNIGroup4x4(args)
	case 4<<4 | 2:
		intAVXVNNIGroup4x2(args)
	case 4<<4 | 1:
		intAVXVNNIGroup4x1(args)
	case 8<<4 | 4:
		intAVXVNNIGroup8x4(args)
	case 8<<4 | 2:
		intAVXVNNIGroup8x2(args)
	case 8<<4 | 1:
		intAVXVNNIGroup8x1(args)
	}
}
