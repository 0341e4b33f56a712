package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/specquant/specquant/internal/input"
)

// Cached is a model in the cache, or one that was quantized here.
type Cached struct {
	Name      string // OWNER/REPO, or OWNER/REPO:LABEL of a quantized one
	Quantized bool
	Dir       string   // contains all its files
	Path      string   // what to open: a folder, or "" if there is none
	GGUF      []string // files that can be opened, of a split one the first
	Bytes     int64
	Modified  time.Time
	Commit    string
}

// List returns every model in the cache and the store, by name.
func (c Config) List() ([]Cached, error) {
	var out []Cached
	entries, err := os.ReadDir(c.Cache)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), "models--")
		if !ok || !e.IsDir() {
			continue
		}
		n, err := ParseName(strings.Replace(rest, "--", "/", 1))
		if err != nil {
			continue
		}
		m := Cached{Name: n.Repo, Dir: filepath.Join(c.Cache, e.Name())}
		m.Bytes, m.Modified = sizeOf(m.Dir)
		if commit, dir := c.snapshot(n); dir != "" {
			m.Commit = commit
			m.GGUF = ggufs(dir)
			if _, err := input.Stat(filepath.Join(dir, "config.json")); err == nil {
				m.Path = dir
			}
		}
		out = append(out, m)
	}
	repos, err := os.ReadDir(filepath.Join(c.Store, "models"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, r := range repos {
		n, err := ParseName(strings.Replace(r.Name(), "--", "/", 1))
		if err != nil || !r.IsDir() {
			continue
		}
		labels, err := os.ReadDir(filepath.Join(c.Store, "models", r.Name()))
		if err != nil {
			return nil, err
		}
		for _, l := range labels {
			dir := filepath.Join(c.Store, "models", r.Name(), l.Name())
			if _, err := input.Stat(filepath.Join(dir, "config.json")); err != nil || checkPath(l.Name()) != nil {
				continue
			}
			m := Cached{Name: n.Repo + ":" + l.Name(), Quantized: true, Dir: dir, Path: dir}
			m.Bytes, m.Modified = sizeOf(dir)
			out = append(out, m)
		}
	}
	sort.SliceStable(out, func(i, k int) bool { return strings.ToLower(out[i].Name) < strings.ToLower(out[k].Name) })
	return out, nil
}

// snapshot is the commit and folder of a name's revision; "" if it is not in the cache.
func (c Config) snapshot(n Name) (commit, dir string) {
	root := filepath.Join(c.Cache, n.folder())
	commit = n.revision()
	if !sha1Text.MatchString(commit) {
		data, err := input.ReadFile(filepath.Join(root, "refs", filepath.FromSlash(commit)), 1<<12)
		if err != nil || !sha1Text.MatchString(strings.TrimSpace(string(data))) {
			return "", ""
		}
		commit = strings.TrimSpace(string(data))
	}
	dir = filepath.Join(root, "snapshots", commit)
	if st, err := input.Stat(dir); err != nil || !st.IsDir() {
		return "", ""
	}
	return commit, dir
}

// StorePath is the folder of a model quantized here, whether it exists or not.
func (c Config) StorePath(n Name, label string) string {
	return filepath.Join(c.Store, "models", strings.ReplaceAll(n.Repo, "/", "--"), label)
}

// ggufs lists the GGUF files of a folder that can be opened: of a split one only the first.
func ggufs(dir string) (out []string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(strings.ToLower(path), ".gguf") {
			if rel, err := filepath.Rel(dir, path); err == nil && firstPart(rel) == rel {
				out = append(out, filepath.ToSlash(rel))
			}
		}
		return nil
	})
	return out
}

// sizeOf returns a folder's size on disk, without following links, and the time of its last
// change.
func sizeOf(dir string) (bytes int64, modified time.Time) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if info.Mode().IsRegular() {
				bytes += info.Size()
			}
			if info.ModTime().After(modified) {
				modified = info.ModTime()
			}
		}
		return nil
	})
	return bytes, modified
}

// Remove deletes a model: all revisions in the cache, or one quantized here. It returns the
// removed folder and its size.
func (c Config) Remove(name string) (dir string, bytes int64, err error) {
	m, err := c.Find(name)
	if err != nil {
		return "", 0, err
	}
	dir = m.Dir
	if err := os.RemoveAll(dir); err != nil {
		return "", 0, err
	}
	if m.Quantized {
		os.Remove(filepath.Dir(dir)) // empty if that was the owner's last model
	} else {
		os.RemoveAll(filepath.Join(c.Cache, ".locks", filepath.Base(dir)))
	}
	return dir, m.Bytes, nil
}

// Find returns the only model with this name: OWNER/REPO, or REPO if only one owner has it,
// with a label for one quantized here.
func (c Config) Find(name string) (*Cached, error) {
	n, err := ParseName(name)
	if err != nil {
		return nil, err
	}
	all, err := c.List()
	if err != nil {
		return nil, err
	}
	var found []Cached
	for _, m := range all {
		repo, label, _ := strings.Cut(m.Name, ":")
		if m.Quantized && label != n.File || !m.Quantized && n.File != "" && c.hasGGUF(m, n.File) == "" {
			continue
		}
		if strings.EqualFold(repo, n.Repo) || !strings.Contains(n.Repo, "/") && strings.EqualFold(repo[strings.Index(repo, "/")+1:], n.Repo) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return nil, &NotHereError{Name: n}
	case 1:
		return &found[0], nil
	}
	names := make([]string, len(found))
	for i, m := range found {
		names[i] = m.Name
	}
	return nil, fmt.Errorf("%s could be %s; give the full name", name, strings.Join(names, " or "))
}

// hasGGUF returns the file of a cached model that matches part of a name.
func (c Config) hasGGUF(m Cached, want string) string {
	want = firstPart(want)
	var found []string
	for _, f := range m.GGUF {
		base := f[strings.LastIndex(f, "/")+1:]
		if f == want || base == want {
			return f
		}
		if strings.Contains(strings.ToLower(base), strings.ToLower(want)) {
			found = append(found, f)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return ""
}

// NotHereError means that there is no model of this name here.
type NotHereError struct{ Name Name }

func (e *NotHereError) Error() string {
	return fmt.Sprintf("there is no folder or file %s, and no model of this name in the store (specquant list); to fetch it: specquant pull %s", e.Name, e.Name)
}

// Resolve converts a model's name or path to the folder or GGUF file to open: an existing
// path is returned unchanged, a name is looked up.
func (c Config) Resolve(name string) (string, error) {
	if _, err := input.Stat(name); err == nil {
		return name, nil
	}
	if _, err := ParseName(name); err != nil || strings.HasPrefix(name, ".") {
		return name, nil // a path that does not exist is reported when it is opened
	}
	m, err := c.Find(name)
	if err != nil {
		return "", err
	}
	n, _ := ParseName(name)
	if m.Quantized {
		return m.Path, nil
	}
	repo, err := ParseName(m.Name)
	if err != nil {
		return "", err
	}
	repo.Revision = n.Revision
	_, dir := c.snapshot(repo)
	if dir == "" {
		return "", &NotHereError{Name: n}
	}
	if n.File != "" {
		return filepath.Join(dir, filepath.FromSlash(c.hasGGUF(*m, n.File))), nil
	}
	if _, err := input.Stat(filepath.Join(dir, "config.json")); err == nil {
		return dir, nil
	}
	switch len(m.GGUF) {
	case 1:
		return filepath.Join(dir, filepath.FromSlash(m.GGUF[0])), nil
	case 0:
		return "", fmt.Errorf("%s is only partly downloaded; complete it with specquant pull %s", m.Name, m.Name)
	}
	return "", fmt.Errorf("%s has several GGUF files; choose one: %s:%s", m.Name, m.Name, strings.Join(m.GGUF, ", "+m.Name+":"))
}

// ResolveToRun is Resolve for a model that is to be run: if name is a checkpoint's, without a
// revision, and the checkpoint was quantized here, it returns the folder of the latest
// quantization, and which one that is.
func (c Config) ResolveToRun(name string) (path string, quantized *Cached, err error) {
	n, err := ParseName(name)
	if _, statErr := input.Stat(name); statErr == nil || err != nil || n.Revision != "" || n.File != "" {
		path, err = c.Resolve(name)
		return path, nil, err
	}
	m, err := c.Find(name)
	if err != nil {
		return "", nil, err
	}
	all, err := c.List()
	if err != nil {
		return "", nil, err
	}
	for i, q := range all {
		if q.Quantized && strings.HasPrefix(q.Name, m.Name+":") && (quantized == nil || q.Modified.After(quantized.Modified)) {
			quantized = &all[i]
		}
	}
	if quantized != nil {
		return quantized.Path, quantized, nil
	}
	path, err = c.Resolve(name)
	return path, nil, err
}
