package hub

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// A GGUF file of many gigabytes is often split into NAME-00001-of-0000N.gguf and so on, as
// llama.cpp's tools write them. Such files are one model: they are downloaded together, and
// the first is the one to open.

var splitName = regexp.MustCompile(`(?i)^(.*)-([0-9]{5})-of-([0-9]{5})\.gguf$`)

// splitPart parses the path of one file of a split GGUF: what comes before the numbers, the
// file's number from 1, and how many there are.
func splitPart(p string) (before string, part, of int, ok bool) {
	m := splitName.FindStringSubmatch(p)
	if m == nil {
		return "", 0, 0, false
	}
	part, _ = strconv.Atoi(m[2]) // five digits
	of, _ = strconv.Atoi(m[3])
	return m[1], part, of, part >= 1 && part <= of
}

// firstPart is the path to open for any file of a split GGUF; other paths are returned
// unchanged.
func firstPart(p string) string {
	_, _, _, ok := splitPart(p)
	if !ok {
		return p
	}
	const tail = len("00001-of-00002.gguf")
	return p[:len(p)-tail] + "00001" + p[len(p)-tail+5:]
}

// ggufModel is one GGUF file, or all files of a split one in their order.
type ggufModel struct {
	files   []File
	missing string // the first file that the repository lacks; "": none
}

func (m ggufModel) path() string { return m.files[0].Path }

func (m ggufModel) size() (sum int64) {
	for _, f := range m.files {
		sum += f.Size
	}
	return sum
}

// whole returns the model's files, or an error if the repository does not have all of them.
func (m ggufModel) whole(repo string) ([]File, error) {
	if m.missing != "" {
		return nil, fmt.Errorf("%s: %s is missing in the repository, the other files of the split model are of no use without it", repo, m.missing)
	}
	return m.files, nil
}

// ggufModels groups the GGUF files of a repository, in the order of the hub's list.
func ggufModels(files []File) (models []ggufModel) {
	type parts struct {
		at int
		of map[int]File
		n  int
	}
	split := map[string]*parts{}
	for _, f := range files {
		if strings.ToLower(path.Ext(f.Path)) != ".gguf" {
			continue
		}
		_, part, n, ok := splitPart(f.Path)
		if !ok {
			models = append(models, ggufModel{files: []File{f}})
			continue
		}
		key := strings.ToLower(firstPart(f.Path))
		p := split[key]
		if p == nil {
			p = &parts{at: len(models), of: map[int]File{}, n: n}
			split[key] = p
			models = append(models, ggufModel{})
		}
		p.of[part] = f
	}
	for _, p := range split {
		m := &models[p.at]
		var example File
		for _, f := range p.of {
			example = f
		}
		for i := range p.n {
			f, ok := p.of[i+1]
			if !ok {
				if m.missing == "" {
					head := example.Path[:len(example.Path)-len("00001-of-00002.gguf")]
					m.missing = fmt.Sprintf("%s%05d-of-%05d.gguf", head, i+1, p.n)
				}
				continue
			}
			m.files = append(m.files, f)
		}
	}
	return models
}
