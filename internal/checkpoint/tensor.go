package checkpoint

import (
	"fmt"
	"strconv"
	"strings"
)

const intBits = strconv.IntSize

// Tensor is one named array of a file, row-major: the last dimension of Shape
// varies fastest. It is a small value; Data is shared and read-only.
type Tensor struct {
	Name  string
	DType DType
	Shape []int  // empty for a scalar
	Data  []byte // little-endian, into the map; invalid after Close
	File  string // path of the file, for error messages

	region *region
	off    int64 // of Data in the file
	whole  []int // of a part made by [Tensor.Rows]: the shape of the whole tensor
	first  int   // and the number of elements before the part
	err    error // why Data could not be read, where the file is not mapped
}

// Elems is the number of elements, the product of Shape.
func (t Tensor) Elems() int {
	n, _ := product(t.Shape)
	return n
}

// Rows returns rows first to first+n−1 of the tensor as a matrix of n rows (of a vector: n
// elements). A row has the length of the last dimension; all other dimensions count rows.
// Errors number elements as in the whole tensor.
func (t Tensor) Rows(first, n int) Tensor {
	cols, matrix := 1, len(t.Shape) > 1
	if matrix {
		cols = t.Shape[len(t.Shape)-1]
	}
	rows := t.Elems() / max(1, cols)
	if first < 0 || n < 0 || first > rows-n {
		panic(fmt.Sprintf("checkpoint: rows %d to %d of %d", first, first+n, rows))
	}
	if size, ok := t.DType.RowBytes(cols); ok && t.err == nil {
		t.Data = t.Data[first*size : (first+n)*size : (first+n)*size]
		t.off += int64(first * size)
	}
	if t.whole == nil {
		t.whole = t.Shape
	}
	t.first += first * cols
	if t.Shape = []int{n}; matrix {
		t.Shape = []int{n, cols}
	}
	return t
}

// Err is the reason why Data is missing, which can only happen if files are not
// memory-mapped and reading failed. Float32 returns it too.
func (t Tensor) Err() error { return t.err }

// Release tells the kernel that the pages of the map that hold only this tensor are not
// needed for now, so that resident memory stays bounded while a model is read from front to
// back. Data stays valid: it is read from the file again.
func (t Tensor) Release() {
	if t.region != nil {
		t.region.release(t.off, int64(len(t.Data)))
	}
}

// at names an element for an error: its flat index, and its index in each dimension.
func (t Tensor) at(i int) string {
	shape := t.Shape
	if t.whole != nil {
		shape, i = t.whole, i+t.first
	}
	index := make([]string, len(shape))
	rest := i
	for d := len(shape) - 1; d >= 0; d-- {
		index[d] = strconv.Itoa(rest % max(1, shape[d]))
		rest /= max(1, shape[d])
	}
	return fmt.Sprintf("%s: tensor %q: element %d [%s]", t.File, t.Name, i, strings.Join(index, ","))
}
