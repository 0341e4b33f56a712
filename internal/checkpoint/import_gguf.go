package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ImportGGUF turns the GGUF file src into the Hugging Face folder dst:
// config.json, model.safetensors and, where writeTokenizer is given, what it
// writes into dir from the file's vocabulary. Weights are copied bit for bit;
// the rows of q and k are put back into Hugging Face's order (see unrotate).
//
// dst must not exist or be empty. It is built beside its place, reopened and
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
	// What a killed import left behind.
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
	// An empty folder gives way; os.Rename does not replace one on Windows.
	if err := os.Remove(dst); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("import into %s: %w", dst, err)
	}
	if err := os.Rename(tmp, dst); err != nil {
		return fmt.Errorf("import into %s: %w", dst, err)
	}
	return syncDir(filepath.Dir(dst))
}

func verifyImport(dir string) error {
	c, err := Open(dir)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Check()
}

// ggufParts maps the parts of a block's Hugging Face names to GGUF's.
var ggufParts = map[string]string{
	"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
	"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
	"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}

// ggufName is the GGUF name of a tensor of Config.Expected.
func ggufName(name string) string {
	switch name {
	case embedName:
		return "token_embd.weight"
	case normName:
		return "output_norm.weight"
	case headName:
		return "output.weight"
	}
	layer, part, _ := strings.Cut(strings.TrimPrefix(name, "model.layers."), ".")
	dot := strings.LastIndexByte(part, '.')
	return "blk." + layer + "." + ggufParts[part[:dot]] + part[dot:]
}

// importSpecs pairs every tensor that the config expects with its source, and
// refuses a file that has others.
func (g *GGUF) importSpecs(cfg Config) ([]TensorSpec, error) {
	file := g.region.path
	used := map[string]bool{"rope_freqs.weight": true}
	var specs []TensorSpec
	for _, want := range cfg.Expected() {
		name := ggufName(want.Name)
		e := g.entries[name]
		if e == nil {
			return nil, notFound("%s: tensor %q is missing, expected shape %v", file, name, want.Shape)
		}
		if !slices.Equal(e.shape, want.Shape) {
			return nil, malformed("%s: tensor %q has shape %v, expected %v by the metadata", file, name, e.shape, want.Shape)
		}
		used[name] = true
		heads := 0
		switch {
		case strings.Contains(want.Name, ".q_proj."):
			heads = cfg.Heads
		case strings.Contains(want.Name, ".k_proj."):
			heads = cfg.KVHeads
		}
		specs = append(specs, TensorSpec{Name: want.Name, DType: e.dtype, Shape: want.Shape, Write: func(w io.Writer) error {
			t, _ := g.Tensor(name)
			if t.err != nil {
				return t.err
			}
			defer t.Release()
			if heads > 0 {
				return unrotate(w, t, heads)
			}
			_, err := w.Write(t.Data)
			return err
		}})
	}
	for _, name := range g.Names() {
		if !used[name] && !strings.HasSuffix(name, ".attn_rot_embd") {
			return nil, unsupported("%s: tensor %q is no part of a LLaMA model; %s", file, name, supportedText)
		}
	}
	return specs, nil
}

// unrotate writes the rows of q or k in Hugging Face's order. Rotary embedding
// turns pairs of a head's rows: GGUF, like Meta's files, has the two rows of a
// pair side by side (2j, 2j+1), Hugging Face half a head apart (j, j+dim/2).
// t is [heads*dim, in], or [heads*dim] for a bias.
func unrotate(w io.Writer, t Tensor, heads int) error {
	rows := t.Shape[0]
	rowBytes := len(t.Data) / rows
	half := rows / heads / 2
	for h := range heads {
		for part := range 2 {
			for j := range half {
				src := h*2*half + 2*j + part
				if _, err := w.Write(t.Data[src*rowBytes : (src+1)*rowBytes]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
