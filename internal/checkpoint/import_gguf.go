package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/specquant/specquant/internal/disk"
)

// ImportGGUF converts the GGUF file src into the Hugging Face folder dst: config.json,
// model.safetensors and the files that writeTokenizer, if not nil, writes into dir from the
// file's vocabulary. Weights in F32, F16 and BF16 are copied exactly, quantized ones are
// rounded to F16; the rows of q and k are put into Hugging Face's order (see unpaired).
//
// dst must be empty or not exist. The folder is built under a temporary name, reopened and
// checked, and only then renamed, so that dst is either complete or untouched.
func ImportGGUF(src, dst string, writeTokenizer func(dir string, g *GGUF) error) error {
	g, err := OpenGGUF(src)
	if err != nil {
		return err
	}
	defer g.Close()
	config, cfg, err := g.config()
	if err != nil {
		return err
	}
	specs, err := g.importSpecs(cfg)
	if err != nil {
		return err
	}

	if dst, err = filepath.Abs(dst); err != nil {
		return err
	}
	if list, err := os.ReadDir(dst); err == nil && len(list) > 0 {
		return fmt.Errorf("import into %s: the folder is not empty; choose a new one", dst)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("import into %s: %w", dst, err)
	}
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return fmt.Errorf("import into %s: %w", dst, err)
	}
	tmp := filepath.Join(filepath.Dir(dst), "."+filepath.Base(dst)+".importing")
	// Left behind by an import that was killed.
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("import into %s: %w", dst, err)
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return fmt.Errorf("import into %s: %w", dst, err)
	}
	defer os.RemoveAll(tmp)

	if err := WriteFile(filepath.Join(tmp, weightsFile), specs, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	if err := WriteFileAtomic(filepath.Join(tmp, configFile), config); err != nil {
		return err
	}
	if writeTokenizer != nil {
		if err := writeTokenizer(tmp, g); err != nil {
			return fmt.Errorf("import %s: tokenizer: %w", src, err)
		}
	}
	if err := verifyImport(tmp); err != nil {
		return err
	}
	// os.Rename does not replace an empty folder on Windows.
	if err := os.Remove(dst); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("import into %s: %w", dst, err)
	}
	if err := os.Rename(tmp, dst); err != nil {
		return fmt.Errorf("import into %s: %w", dst, err)
	}
	return disk.FlushDir(filepath.Dir(dst))
}

func verifyImport(dir string) error {
	c, err := Open(dir)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Check()
}

// importSpecs are the tensors of the folder. Quantized ones are rounded to F16, which
// changes a decoded weight by at most 1 in 2048.
func (g *GGUF) importSpecs(cfg Config) ([]TensorSpec, error) {
	entries, err := g.named(cfg)
	if err != nil {
		return nil, err
	}
	var specs []TensorSpec
	for _, e := range entries {
		f := &File{region: e.region, entries: map[string]*entry{e.name: e}}
		spec := TensorSpec{Name: cfg.InFile(e.name), DType: e.dtype, Shape: e.shape}
		if e.dtype.Block() != nil {
			spec.DType = F16
		}
		spec.Write = func(w io.Writer) error {
			t, _ := f.Tensor(e.name)
			if t.err != nil {
				return t.err
			}
			defer t.Release()
			if e.dtype.Block() == nil {
				_, err := w.Write(t.Data)
				return err
			}
			return writeHalves(w, t)
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// writeHalves writes a quantized matrix as F16, a few rows at a time.
func writeHalves(w io.Writer, t Tensor) error {
	rows, cols := 1, t.Shape[len(t.Shape)-1]
	if len(t.Shape) > 1 {
		rows = t.Elems() / cols
	}
	each := max(1, (1<<18)/cols)
	values := make([]float32, each*cols)
	var out []byte
	for first := 0; first < rows; first += each {
		n := min(each, rows-first)
		part := t
		if len(t.Shape) > 1 {
			part = t.Rows(first, n)
		}
		err := part.Float32(values[:n*cols])
		if err == nil {
			out, err = AppendFloats(out[:0], F16, values[:n*cols])
		}
		if err != nil {
			return fmt.Errorf("%s: tensor %q: rows counted from %d: %w", t.File, t.Name, first, err)
		}
		if _, err := w.Write(out); err != nil {
			return err
		}
	}
	return nil
}
