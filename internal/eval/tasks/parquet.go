package tasks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/specquant/specquant/internal/plural"
)

// readParquet reads one question from each row.
func (t *Task) readParquet(src io.ReaderAt, size int64, path string, out *[]Question) (err error) {
	// The library panics on some damaged files.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: is a damaged Parquet file: %v", path, p)
		}
	}()
	if err := checkFooter(src, size); err != nil {
		return fmt.Errorf("%s: is not a Parquet file: %w", path, err)
	}
	f, err := parquet.OpenFile(src, size)
	if err != nil {
		return fmt.Errorf("%s: is not a Parquet file: %w", path, err)
	}
	if n := f.NumRows(); n < 0 || n > maxQuestions {
		return fmt.Errorf("%s: has %s, expected at most %d", path, plural.Of(n, "row"), maxQuestions)
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
		if n == 0 || int64(number) > f.NumRows()+1 {
			return fmt.Errorf("%s: row %d: is missing, expected %s by the file's footer", path, number, plural.Of(f.NumRows(), "row"))
		}
		clear(batch)
	}
}

// checkFooter compares the footer's length with the file's, because the library allocates
// as much as the footer claims.
func checkFooter(src io.ReaderAt, size int64) error {
	const magic = "PAR1"
	var head [len(magic)]byte
	var tail [4 + len(magic)]byte
	if size < int64(len(head)+len(tail)) {
		return fmt.Errorf("it has %s", plural.Of(size, "byte"))
	}
	if _, err := src.ReadAt(head[:], 0); err != nil {
		return err
	}
	if _, err := src.ReadAt(tail[:], size-int64(len(tail))); err != nil {
		return err
	}
	if string(head[:]) != magic || string(tail[4:]) != magic {
		return fmt.Errorf("it does not begin and end with %s", magic)
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:])); n > size-int64(len(head)+len(tail)) {
		return fmt.Errorf("its footer should have %s, the file has %d", plural.Of(n, "byte"), size)
	}
	return nil
}

// plainValue removes the wrapping that some writers put around Parquet lists: {list:
// [{element: x}]} becomes [x].
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
