package hub

import (
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// sideFiles are the files of a checkpoint besides its weights.
var sideFiles = map[string]bool{"config.json": true, "generation_config.json": true, "tokenizer.json": true, "tokenizer.model": true, "vocab.json": true, "merges.txt": true,
	"added_tokens.json": true, "tokenizer_config.json": true, "special_tokens_map.json": true, "chat_template.jinja": true, "chat_template.json": true}

// Wanted are the files that are needed to run or quantize the model: the safetensors files,
// or the GGUF file that the name selects, of a split one all files, the first in front.
func (r *Repo) Wanted() ([]File, error) {
	if r.Name.File != "" {
		return r.gguf(r.Name.File)
	}
	var weights, side []File
	var index, single, torch bool
	for _, f := range r.Files {
		index = index || f.Path == "model.safetensors.index.json"
		single = single || f.Path == "model.safetensors"
	}
	for _, f := range r.Files {
		ext := strings.ToLower(path.Ext(f.Path))
		switch {
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
	ggufs := ggufModels(r.Files)
	switch {
	case len(weights) > 0 && has(side, "config.json"):
		return append(side, weights...), nil
	case len(ggufs) == 1:
		return ggufs[0].whole(r.Name.Repo)
	case len(ggufs) > 1:
		return nil, fmt.Errorf("%s holds %d GGUF models: choose one, as %s:%s; there are\n%s", r.Name.Repo, len(ggufs), r.Name.Repo, path.Base(ggufs[0].path()), ggufList(ggufs))
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

// gguf finds the GGUF model that a user selects: by the path or base name of its file, or of
// one of its files if it is split, or by a part of the name that no other model has, such as
// Q4_K_M.
func (r *Repo) gguf(want string) ([]File, error) {
	all := ggufModels(r.Files)
	var part []ggufModel
	for _, m := range all {
		for _, f := range m.files {
			if f.Path == want || path.Base(f.Path) == want {
				return m.whole(r.Name.Repo)
			}
		}
		if strings.Contains(strings.ToLower(path.Base(m.path())), strings.ToLower(want)) {
			part = append(part, m)
		}
	}
	switch {
	case len(part) == 1:
		return part[0].whole(r.Name.Repo)
	case len(part) > 1:
		return nil, fmt.Errorf("%s: %q could be any of\n%s", r.Name.Repo, want, ggufList(part))
	case len(all) == 0:
		return nil, fmt.Errorf("%s holds no GGUF files", r.Name.Repo)
	}
	return nil, fmt.Errorf("%s has no file %q; there are\n%s", r.Name.Repo, want, ggufList(all))
}

func ggufList(models []ggufModel) string {
	lines := make([]string, 0, len(models))
	for _, m := range models {
		files := ""
		if len(m.files) > 1 {
			files = fmt.Sprintf(" in %s", plural.Of(len(m.files), "file"))
		}
		lines = append(lines, fmt.Sprintf("  %s (%s%s)", m.path(), input.SizeText(m.size()), files))
	}
	sort.Strings(lines)
	if len(lines) > 40 {
		lines = append(lines[:40], "  …")
	}
	return strings.Join(lines, "\n")
}
