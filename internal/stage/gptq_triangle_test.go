package stage

import "testing"

// TestTriangle: rows of a triangle lie in spare memory as far as that goes, and no two
// share a value.
func TestTriangle(t *testing.T) {
	const n = 9
	for _, spare := range [][][]float32{nil, {make([]float32, 1)}, {make([]float32, 13), make([]float32, 40)}, {make([]float32, 1000)}, {nil, make([]float32, 5)}} {
		rows := triangle(n, spare)
		for i, row := range rows {
			if len(row) != i+1 || cap(row) != i+1 {
				t.Fatalf("row %d has %d values, room for %d", i, len(row), cap(row))
			}
			for j := range row {
				row[j] = float64(100*i + j)
			}
		}
		for i, row := range rows {
			for j, v := range row {
				if v != float64(100*i+j) {
					t.Errorf("%d parts: value %d of row %d was overwritten", len(spare), j, i)
				}
			}
		}
	}
}
