package compare

import (
	"context"
)

// addModels appends the rows of the existing models. Those that are not finished are measured
// together, so that the full-precision model runs once for all of them.
func (c *comparison) addModels(ctx context.Context) error {
	rows := make([]Row, len(c.Also))
	keys := make([]string, len(c.Also))
	var paths []string
	var at []int
	errs := make([]error, len(c.Also))
	for i, path := range c.Also {
		files, err := modelFiles(path)
		if err != nil {
			errs[i] = err
			continue
		}
		x := cell{also: path, files: files}
		if rows[i], err = c.find(x); err != nil {
			return err
		}
		if keys[i], _ = c.key(x, c.build); !rows[i].Reused {
			paths, at = append(paths, path), append(at, i)
		}
	}
	if len(paths) > 0 && !c.Kept {
		measured, failed := c.measure(ctx, paths)
		for k, i := range at {
			rows[i], errs[i] = measured[k], failed[k]
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, row := range rows {
		if errs[i] != nil {
			c.fail(c.Also[i], AsItIs, errs[i])
			continue
		}
		if !row.Reused && c.Kept {
			continue
		}
		row.Recipe = c.Also[i]
		if err := c.keep(&row, keys[i]); err != nil {
			return err
		}
		c.append(row)
	}
	return nil
}

// measure compares models with full precision in one pass over the texts. If that fails, it
// measures them one by one, so that only the rows of bad models are missing.
func (c *comparison) measure(ctx context.Context, paths []string) ([]Row, []error) {
	rows, errs := make([]Row, len(paths)), make([]error, len(paths))
	var progress func(int)
	if c.Measuring != nil {
		progress = func(tokens int) { c.Measuring(tokens, c.table.Tokens) }
	}
	together, err := c.ref.measure(ctx, paths, progress)
	switch {
	case err == nil:
		return together, errs
	case len(paths) == 1:
		errs[0] = err
		return rows, errs
	}
	for i := range paths {
		one, err := c.ref.measure(ctx, paths[i:i+1], progress)
		if err != nil {
			errs[i] = err
			continue
		}
		rows[i] = one[0]
	}
	return rows, errs
}
