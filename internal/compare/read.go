package compare

import (
	"fmt"

	"github.com/specquant/specquant/internal/input"
)

// Read reads a table that the command compare has written with --json. Why rows are missing
// ([Table.Failed]) is not read.
func Read(path string) (*Table, error) {
	data, err := input.ReadFile(path, input.MaxSmall)
	if err != nil {
		return nil, err
	}
	var t Table
	if err := input.JSON(data, &t); err != nil {
		return nil, fmt.Errorf("%s: %w; expected what specquant compare writes with --json", path, err)
	}
	t.Failed = nil
	if t.Full() == nil {
		return nil, fmt.Errorf("%s: has no row %q; expected a table that specquant compare has written with --json", path, FullPrecision)
	}
	return &t, nil
}

// Full is the row of the full-precision model; nil: there is none.
func (t *Table) Full() *Row {
	for i := range t.Rows {
		if t.Rows[i].Recipe == FullPrecision {
			return &t.Rows[i]
		}
	}
	return nil
}
