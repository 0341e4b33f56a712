package checkpoint

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"
)

// IsGGUF reports whether the file at path begins with the GGUF magic.
func IsGGUF(path string) bool {
	r, err := openRegion(path)
	if err != nil {
		return false
	}
	defer r.close()
	var magic [4]byte
	n, _ := r.ReadAt(magic[:], 0)
	return n == 4 && string(magic[:]) == "GGUF"
}

// OpenFolder is [Open] for commands that need a folder: a GGUF file is an error.
func OpenFolder(dir string) (*Checkpoint, error) {
	if IsGGUF(dir) {
		return nil, unsupported("%s: a GGUF file, expected a folder; make one: specquant import %s -o DIR", dir, dir)
	}
	return Open(dir)
}

// openGGUFModel opens a GGUF file as a model: its tensors get Hugging Face's names, shapes
// and order of rows, and keep the types that they have in the file.
func openGGUFModel(path string) (*Checkpoint, error) {
	g, err := OpenGGUF(path)
	if err != nil {
		return nil, err
	}
	c, err := g.model()
	if err != nil {
		g.Close()
		return nil, err
	}
	return c, nil
}

// model converts the GGUF to a checkpoint, which takes over its mapped files.
func (g *GGUF) model() (*Checkpoint, error) {
	_, cfg, err := g.config()
	if err != nil {
		return nil, err
	}
	entries, err := g.named(cfg)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Dir: g.path, Config: cfg, GGUF: g, where: map[string]*File{}}
	files := map[*region]*File{}
	for _, r := range g.regions {
		files[r] = &File{region: r, entries: map[string]*entry{}}
		c.files = append(c.files, files[r])
	}
	for _, e := range entries {
		f := files[e.region]
		f.entries[e.name], c.where[e.name] = e, f
	}
	return c, nil
}

// named returns the entries of all tensors that the config expects, under the config's
// names. A file that lacks one, or has others whose effect would silently be missing, is an
// error.
func (g *GGUF) named(cfg Config) ([]*entry, error) {
	arch, _ := g.Metadata["general.architecture"].(string)
	family := ggufFamilies[arch]
	used := map[string]bool{"rope_freqs.weight": true, "rope_factors_long.weight": true, "rope_factors_short.weight": true}
	var out []*entry
	for _, want := range cfg.Expected() {
		name := family.name(want.Name)
		src := g.entries[name]
		if cfg.Fused {
			src, name = g.fusedPart(cfg, want, src, name)
		}
		if e, ok := expertOfName(want.Name); ok {
			var err error
			if src, name, err = g.expert(cfg, want, e); err != nil {
				return nil, err
			}
		}
		if src == nil {
			return nil, notFound("%s: tensor %q is missing, expected shape %v", g.path, name, want.Shape)
		}
		if !slices.Equal(src.shape, want.Shape) {
			return nil, malformed("%s: tensor %q has shape %v, expected %v by the metadata", src.region.path, name, src.shape, want.Shape)
		}
		used[name] = true
		e := *src
		e.name = want.Name
		heads := 0
		switch {
		case !family.paired:
		case strings.Contains(want.Name, ".q_proj."):
			heads = cfg.Heads
		case strings.Contains(want.Name, ".k_proj."):
			heads = cfg.KVHeads
		}
		switch {
		case heads > 0:
			e.make = func(t Tensor) []byte { return unpaired(t, heads) }
		case family.offset && strings.HasSuffix(want.Name, "norm.weight"):
			if e.dtype != F32 {
				return nil, unsupported("%s: tensor %q is of type %s, expected F32", src.region.path, name, e.dtype)
			}
			e.make = lessOne
		}
		out = append(out, &e)
	}
	for _, name := range slices.Sorted(maps.Keys(g.entries)) {
		if !used[name] && !strings.HasSuffix(name, ".attn_rot_embd") {
			return nil, unsupported("%s: tensor %q is not part of architecture %s; %s", g.path, name, arch, supportedText)
		}
	}
	return out, nil
}

// fusedPart returns the rows of one projection within a tensor that holds several, and that
// tensor's name; if the projection is stored separately, it returns src and name.
func (g *GGUF) fusedPart(cfg Config, want ExpectedTensor, src *entry, name string) (*entry, string) {
	q, kv, inner := cfg.Heads*cfg.HeadDim, cfg.KVHeads*cfg.HeadDim, cfg.IntermediateSize
	for _, p := range []struct {
		part, own, whole string
		first, rows, all int
	}{
		{"self_attn.q_proj", "attn_q", "attn_qkv", 0, q, q + 2*kv},
		{"self_attn.k_proj", "attn_k", "attn_qkv", q, kv, q + 2*kv},
		{"self_attn.v_proj", "attn_v", "attn_qkv", q + kv, kv, q + 2*kv},
		{"mlp.gate_proj", "ffn_gate", "ffn_up", 0, inner, 2 * inner},
		{"mlp.up_proj", "ffn_up", "ffn_up", inner, inner, 2 * inner},
	} {
		if !strings.Contains(want.Name, "."+p.part+".") {
			continue
		}
		whole := strings.Replace(name, "."+p.own+".", "."+p.whole+".", 1)
		e := g.entries[whole]
		if e == nil || len(e.shape) == 0 || e.shape[0] != p.all {
			return src, name
		}
		row := (e.end - e.begin) / int64(p.all)
		part := *e
		part.shape = slices.Clone(e.shape)
		part.shape[0] = p.rows
		part.begin += int64(p.first) * row
		part.end = part.begin + int64(p.rows)*row
		return &part, whole
	}
	return src, name
}

// unpaired returns the data of q or k with its rows in Hugging Face's order. Rotary
// embedding rotates pairs of a head's rows: GGUF, like Meta's files, stores the two rows of
// a pair side by side (2j, 2j+1), Hugging Face half a head apart (j, j+dim/2). t is
// [heads*dim, in], or [heads*dim] for a bias. In all types a row is a whole number of
// bytes.
func unpaired(t Tensor, heads int) []byte {
	rows := t.Shape[0]
	size, half := len(t.Data)/rows, rows/heads/2
	out := make([]byte, 0, len(t.Data))
	for h := range heads {
		for part := range 2 {
			for j := range half {
				src := h*2*half + 2*j + part
				out = append(out, t.Data[src*size:][:size]...)
			}
		}
	}
	return out
}

// lessOne returns the data of an F32 vector with 1 subtracted from each element.
func lessOne(t Tensor) []byte {
	out := make([]byte, 0, len(t.Data))
	for at := 0; at < len(t.Data); at += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(t.Data[at:])) - 1
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}

// Types counts the bytes of all tensors of a model by their type.
func (c *Checkpoint) Types() map[DType]int64 {
	bytes := map[DType]int64{}
	for _, f := range c.files {
		for _, e := range f.entries {
			bytes[e.dtype] += e.end - e.begin
		}
	}
	return bytes
}

// Quantized reports whether the model comes from a GGUF file with quantized weights.
func (c *Checkpoint) Quantized() bool {
	for t := range c.Types() {
		if t.Block() != nil {
			return true
		}
	}
	return false
}
