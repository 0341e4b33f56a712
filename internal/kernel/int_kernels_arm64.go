package kernel

import "unsafe"

// The integer kernels for arm64: bits of the weights, then width in tokens.
// intDot… need [NEONDot], all others [NEON].

//go:noescape
func intDot2x4(args *intArgs)

//go:noescape
func intDot2x2(args *intArgs)

//go:noescape
func intDot2x1(args *intArgs)

//go:noescape
func intDot3x4(args *intArgs)

//go:noescape
func intDot3x2(args *intArgs)

//go:noescape
func intDot3x1(args *intArgs)

//go:noescape
func intDot4x4(args *intArgs)

//go:noescape
func intDot4x2(args *intArgs)

//go:noescape
func intDot4x1(args *intArgs)

//go:noescape
func intDot5x4(args *intArgs)

//go:noescape
func intDot5x2(args *intArgs)

//go:noescape
func intDot5x1(args *intArgs)

//go:noescape
func intDot6x4(args *intArgs)

//go:noescape
func intDot6x2(args *intArgs)

//go:noescape
func intDot6x1(args *intArgs)

//go:noescape
func intDot7x4(args *intArgs)

//go:noescape
func intDot7x2(args *intArgs)

//go:noescape
func intDot7x1(args *intArgs)

//go:noescape
func intDot8x4(args *intArgs)

//go:noescape
func intDot8x2(args *intArgs)

//go:noescape
func intDot8x1(args *intArgs)

//go:noescape
func intNEON2x4(args *intArgs)

//go:noescape
func intNEON2x2(args *intArgs)

//go:noescape
func intNEON2x1(args *intArgs)

//go:noescape
func intNEON3x4(args *intArgs)

//go:noescape
func intNEON3x2(args *intArgs)

//go:noescape
func intNEON3x1(args *intArgs)

//go:noescape
func intNEON4x4(args *intArgs)

//go:noescape
func intNEON4x2(args *intArgs)

//go:noescape
func intNEON4x1(args *intArgs)

//go:noescape
func intNEON5x4(args *intArgs)

//go:noescape
func intNEON5x2(args *intArgs)

//go:noescape
func intNEON5x1(args *intArgs)

//go:noescape
func intNEON6x4(args *intArgs)

//go:noescape
func intNEON6x2(args *intArgs)

//go:noescape
func intNEON6x1(args *intArgs)

//go:noescape
func intNEON7x4(args *intArgs)

//go:noescape
func intNEON7x2(args *intArgs)

//go:noescape
func intNEON7x1(args *intArgs)

//go:noescape
func intNEON8x4(args *intArgs)

//go:noescape
func intNEON8x2(args *intArgs)

//go:noescape
func intNEON8x1(args *intArgs)

//go:noescape
func intDotGroup4x4(args *intArgs)

//go:noescape
func intDotGroup4x2(args *intArgs)

//go:noescape
func intDotGroup4x1(args *intArgs)

//go:noescape
func intDotGroup8x4(args *intArgs)

//go:noescape
func intDotGroup8x2(args *intArgs)

//go:noescape
func intDotGroup8x1(args *intArgs)

//go:noescape
func intNEONGroup4x4(args *intArgs)

//go:noescape
func intNEONGroup4x2(args *intArgs)

//go:noescape
func intNEONGroup4x1(args *intArgs)

//go:noescape
func intNEONGroup8x4(args *intArgs)

//go:noescape
func intNEONGroup8x2(args *intArgs)

//go:noescape
func intNEONGroup8x1(args *intArgs)

//go:noescape
func intFloatNEON4x1(args *intArgs)

//go:noescape
func intFloatNEON4x2(args *intArgs)

//go:noescape
func intFloatNEON8x1(args *intArgs)

//go:noescape
func intFloatNEON8x2(args *intArgs)

//go:noescape
func intUnpackNEON2(dst, src unsafe.Pointer, steps, add int)

//go:noescape
func intUnpackNEON3(dst, src unsafe.Pointer, steps, add int)

//go:noescape
func intUnpackNEON5(dst, src unsafe.Pointer, steps, add int)

//go:noescape
func intUnpackNEON6(dst, src unsafe.Pointer, steps, add int)

//go:noescape
func intUnpackNEON7(dst, src unsafe.Pointer, steps, add int)

// intDot and intNEON call the kernel for weights of some bits and some tokens,
// intDotGroup and intNEONGroup those for tokens in groups of channels.
func intDot(args *intArgs, bits, width int) {
	switch bits<<4 | width {
	case 2<<4 | 4:
		intDot2x4(args)
	case 2<<4 | 2:
		intDot2x2(args)
	case 2<<4 | 1:
		intDot2x1(args)
	case 3<<4 | 4:
		intDot3x4(args)
	case 3<<4 | 2:
		intDot3x2(args)
	case 3<<4 | 1:
		intDot3x1(args)
	case 4<<4 | 4:
		intDot4x4(args)
	case 4<<4 | 2:
		intDot4x2(args)
	case 4<<4 | 1:
		intDot4x1(args)
	case 5<<4 | 4:
		intDot5x4(args)
	case 5<<4 | 2:
		intDot5x2(args)
	case 5<<4 | 1:
		intDot5x1(args)
	case 6<<4 | 4:
		intDot6x4(args)
	case 6<<4 | 2:
		intDot6x2(args)
	case 6<<4 | 1:
		intDot6x1(args)
	case 7<<4 | 4:
		intDot7x4(args)
	case 7<<4 | 2:
		intDot7x2(args)
	case 7<<4 | 1:
		intDot7x1(args)
	case 8<<4 | 4:
		intDot8x4(args)
	case 8<<4 | 2:
		intDot8x2(args)
	case 8<<4 | 1:
		intDot8x1(args)
	}
}

func intDotGroup(args *intArgs, bits, width int) {
	switch bits<<4 | width {
	case 4<<4 | 4:
		intDotGroup4x4(args)
	case 4<<4 | 2:
		intDotGroup4x2(args)
	case 4<<4 | 1:
		intDotGroup4x1(args)
	case 8<<4 | 4:
		intDotGroup8x4(args)
	case 8<<4 | 2:
		intDotGroup8x2(args)
	case 8<<4 | 1:
		intDotGroup8x1(args)
	}
}

func intNEON(args *intArgs, bits, width int) {
	switch bits<<4 | width {
	case 2<<4 | 4:
		intNEON2x4(args)
	case 2<<4 | 2:
		intNEON2x2(args)
	case 2<<4 | 1:
		intNEON2x1(args)
	case 3<<4 | 4:
		intNEON3x4(args)
	case 3<<4 | 2:
		intNEON3x2(args)
	case 3<<4 | 1:
		intNEON3x1(args)
	case 4<<4 | 4:
		intNEON4x4(args)
	case 4<<4 | 2:
		intNEON4x2(args)
	case 4<<4 | 1:
		intNEON4x1(args)
	case 5<<4 | 4:
		intNEON5x4(args)
	case 5<<4 | 2:
		intNEON5x2(args)
	case 5<<4 | 1:
		intNEON5x1(args)
	case 6<<4 | 4:
		intNEON6x4(args)
	case 6<<4 | 2:
		intNEON6x2(args)
	case 6<<4 | 1:
		intNEON6x1(args)
	case 7<<4 | 4:
		intNEON7x4(args)
	case 7<<4 | 2:
		intNEON7x2(args)
	case 7<<4 | 1:
		intNEON7x1(args)
	case 8<<4 | 4:
		intNEON8x4(args)
	case 8<<4 | 2:
		intNEON8x2(args)
	case 8<<4 | 1:
		intNEON8x1(args)
	}
}

func intNEONGroup(args *intArgs, bits, width int) {
	switch bits<<4 | width {
	case 4<<4 | 4:
		intNEONGroup4x4(args)
	case 4<<4 | 2:
		intNEONGroup4x2(args)
	case 4<<4 | 1:
		intNEONGroup4x1(args)
	case 8<<4 | 4:
		intNEONGroup8x4(args)
	case 8<<4 | 2:
		intNEONGroup8x2(args)
	case 8<<4 | 1:
		intNEONGroup8x1(args)
	}
}
