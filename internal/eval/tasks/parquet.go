package tasks

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// readParquet reads a row a question.
func (t *Task) readParquet(src io.ReaderAt, size int64, path string, out *[]Question) (err error) {
	// The library panics on some damaged files.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: is not a sound Parquet file: %v", path, p)
		}
	}()
	f, err := parquet.OpenFile(src, size)
	if err != nil {
		return fmt.Errorf("%s: is not a Parquet file: %w", path, err)
	}
	if n := f.NumRows(); n < 0 || n > maxQuestions {
		return fmt.Errorf("%s: has %d rows, expected at most %d", path, n, maxQuestions)
	}
	reader := parquet.NewGenericReader[any](f, f.Schema())
	defer reader.Close()
	batch := make([]any, 64)
	for number := 1; ; {
		n, err := reader.Read(batch)
		for _, v := range batch[:n] {
			r := &row{file: path, unit: "row", number: number}
			number++
			fields, ok := plainValue(v).(map[string]any)
			if !ok {
				return r.errorf("", "is %s, expected a record", kind(v))
			}
			r.fields = fields
			if err := t.add(r, out); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: row %d: %w", path, number, err)
		}
		clear(batch)
	}
}

// plainValue undoes the wrapping that Parquet lists have in some writers:
// {list: [{element: x}]} is [x].
func plainValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if list, ok := v["list"].([]any); ok && len(v) == 1 {
			out := make([]any, len(list))
			for i, e := range list {
				out[i] = plainValue(e)
				if m, ok := e.(map[string]any); ok && len(m) == 1 {
					for _, only := range m {
						out[i] = plainValue(only)
					}
				}
			}
			return out
		}
		for k, e := range v {
			v[k] = plainValue(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plainValue(e)
		}
	}
	return v
}
