package float

import (
	"fmt"
	"unsafe"

	"github.com/specquant/specquant/internal/kernel/shape"
)

// PanelColumns is the width of the panels of [HalfPanels].
const PanelColumns = maxWidth

// HalfPanels is a matrix [Rows × Columns] of 16-bit floats in the order in which products
// read it: panels of [PanelColumns] columns, the last of which is filled up with zeros, row
// by row. Products with one or a few rows take the time of reading it.
type HalfPanels struct {
	Rows, Columns int
	Data          []uint16
}

// NewHalfPanels rounds a matrix m [rows × columns] to 16-bit floats.
func NewHalfPanels(m []float32, rows, columns int) HalfPanels {
	if len(m) != rows*columns {
		panic(fmt.Sprintf("kernel: %d numbers for a matrix of %d×%d", len(m), rows, columns))
	}
	b := HalfPanels{rows, columns, make([]uint16, rows*shape.RoundUp(columns, PanelColumns))}
	for j := 0; j < columns; j += PanelColumns {
		end := min(columns, j+PanelColumns)
		for p := range rows {
			F32ToF16(b.Data[j*rows+p*PanelColumns:][:end-j], m[p*columns+j:p*columns+end])
		}
	}
	return b
}

// Padded is the number of columns with those that fill up the last panel.
func (b *HalfPanels) Padded() int { return shape.RoundUp(b.Columns, PanelColumns) }

// Decode returns the matrix [Rows × Columns] in float32.
func (b *HalfPanels) Decode() []float32 {
	m := make([]float32, b.Rows*b.Columns)
	for j := 0; j < b.Columns; j += PanelColumns {
		end := min(b.Columns, j+PanelColumns)
		for p := range b.Rows {
			F16ToF32(m[p*b.Columns+j:p*b.Columns+end], b.Data[j*b.Rows+p*PanelColumns:][:end-j])
		}
	}
	return m
}

// MatMulPanels sets c [rows × b.Padded()] to a [rows × b.Rows]·b, on the calling goroutine;
// lda is the number of elements from row to row of a. Sums have the order of those of
// [MatMulNN], so that a row gives the same bits alone and among others.
func MatMulPanels(c, a []float32, lda int, b *HalfPanels, rows int) {
	k, n := b.Rows, b.Padded()
	if rows == 0 || k == 0 || n == 0 {
		clear(c[:rows*n])
		return
	}
	shape.Fits("a", len(a), lda, rows, k)
	if len(c) < rows*n || len(b.Data) < k*n {
		panic(fmt.Sprintf("kernel: %d numbers for %d×%d results of a matrix of %d numbers", len(c), rows, n, len(b.Data)))
	}
	micro := halfKernels()
	if micro == nil {
		matMulPanelsGo(c, a, lda, b, rows)
		return
	}
	for j := 0; j < n; j += micro.width {
		panel := b.Data[j/PanelColumns*PanelColumns*k+j%PanelColumns:]
		for k0 := 0; k0 < k; k0 += blockK {
			update := updateAdd
			if k0 == 0 {
				update = updateSet
			}
			for i := 0; i < rows; {
				h := min(rows-i, micro.height)
				for micro.fn[h] == nil {
					h--
				}
				micro.fn[h](min(blockK, k-k0), unsafe.Pointer(&a[i*lda+k0]), lda, unsafe.Pointer(&panel[k0*PanelColumns]), PanelColumns, unsafe.Pointer(&c[i*n+j]), n, update)
				i += h
			}
		}
	}
}

// matMulPanelsGo is the definition of [MatMulPanels].
func matMulPanelsGo(c, a []float32, lda int, b *HalfPanels, rows int) {
	k, n := b.Rows, b.Padded()
	panel := make([]float32, k*PanelColumns)
	for j := 0; j < n; j += PanelColumns {
		F16ToF32(panel, b.Data[j*k:][:len(panel)])
		MatMulNN(nil, c[j:], n, a, lda, panel, PanelColumns, rows, PanelColumns, k, false)
	}
}
