package hub

import (
	"fmt"
	"path"
	"sort"
	"strings"
)

// sideFiles are the files of a checkpoint besides its weights.
var sideFiles = map[string]bool{"config.json": true, "generation_config.json": true, "tokenizer.json": true, "tokenizer.model": true, "vocab.json": true, "merges.txt": true,
	"added_tokens.json": true, "tokenizer_config.json": true, "special_tokens_map.json": true, "chat_template.jinja": true, "chat_template.json": true}

// Wanted are the files that are needed to run or quantize the model: the safetensors files,
// or the one GGUF file that the name selects.
func (r *Repo) Wanted() ([]File, error) {
	if r.Name.File != "" {
		f, err := r.gguf(r.Name.File)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	var weights, side, ggufs []File
	var index, single, torch bool
	for _, f := range r.Files {
		index = index || f.Path == "model.safetensors.index.json"
		single = single || f.Path == "model.safetensors"
	}
	for _, f := range r.Files {
		ext := strings.ToLower(path.Ext(f.Path))
		switch {
		case ext == ".gguf":
			ggufs = append(ggufs, f)
		case strings.Contains(f.Path, "/"):
		case sideFiles[f.Path]:
			side = append(side, f)
		case ext == ".safetensors" && index && strings.HasPrefix(f.Path, "model-"):
			weights = append(weights, f)
		case f.Path == "model.safetensors.index.json":
			weights = append(weights, f)
		case f.Path == "model.safetensors" && !index:
			weights = append(weights, f)
		case ext == ".safetensors" && !index && !single && !strings.HasPrefix(f.Path, "consolidated") && !strings.HasPrefix(f.Path, "adapter"):
			weights = append(weights, f)
		case ext == ".bin" || ext == ".pt" || ext == ".pth":
			torch = true
		}
	}
	switch {
	case len(weights) > 0 && has(side, "config.json"):
		return append(side, weights...), nil
	case len(ggufs) == 1:
		return ggufs, nil
	case len(ggufs) > 1:
		return nil, fmt.Errorf("%s holds %d GGUF files: choose one, as %s:%s; there are\n%s", r.Name.Repo, len(ggufs), r.Name.Repo, path.Base(ggufs[0].Path), fileList(ggufs))
	case torch:
		return nil, fmt.Errorf("%s holds weights only as pickled PyTorch files, which are programs and are not opened; look for a repository with safetensors", r.Name.Repo)
	}
	return nil, fmt.Errorf("%s holds no model: expected config.json with safetensors files, or a GGUF file", r.Name.Repo)
}

func has(files []File, name string) bool {
	for _, f := range files {
		if f.Path == name {
			return true
		}
	}
	return false
}

// gguf finds the GGUF file that a user selects: by its path, its base name, or a part of it
// that no other has, such as Q4_K_M.
func (r *Repo) gguf(want string) ([]File, error) {
	var all, part []File
	for _, f := range r.Files {
		if !strings.HasSuffix(strings.ToLower(f.Path), ".gguf") {
			continue
		}
		all = append(all, f)
		base := path.Base(f.Path)
		if f.Path == want || base == want {
			return []File{f}, nil
		}
		if strings.Contains(strings.ToLower(base), strings.ToLower(want)) {
			part = append(part, f)
		}
	}
	switch {
	case len(part) == 1:
		return part, nil
	case len(part) > 1:
		return nil, fmt.Errorf("%s: %q could be any of\n%s", r.Name.Repo, want, fileList(part))
	case len(all) == 0:
		return nil, fmt.Errorf("%s holds no GGUF files", r.Name.Repo)
	}
	return nil, fmt.Errorf("%s has no file %q; there are\n%s", r.Name.Repo, want, fileList(all))
}

func fileList(files []File) string {
	lines := make([]string, 0, len(files))
	for _, f := range files {
		lines = append(lines, fmt.Sprintf("  %s (%.1f MB)", f.Path, float64(f.Size)/1e6))
	}
	sort.Strings(lines)
	if len(lines) > 40 {
		lines = append(lines[:40], "  …")
	}
	return strings.Join(lines, "\n")
}
