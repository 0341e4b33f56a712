package tasks

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// findDepth is how many levels of folders below the data folder are searched.
const findDepth = 4

// Locate finds the files of the task's split below a folder: files named after the task
// (boolq.jsonl, hellaswag_val_full.txt.bz2, arc_easy-test.parquet), or files named after
// the split in a folder named after the task (ARC-Easy/test-00000-of-00001.parquet).
func (t *Task) Locate(dir string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		parts := strings.Split(filepath.ToSlash(rel), "/")
		if e.IsDir() {
			if len(parts) > findDepth {
				return fs.SkipDir
			}
			return nil
		}
		if t.owns(parts) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(found)
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("%s: no file for %s: looked for %s.jsonl, .parquet and the like; give it as %s=FILE", dir, t.Name, t.Name, t.Name)
	case len(found) > 1 && !shards(found):
		return nil, fmt.Errorf("%s: several files could be %s: %s; give the right one as %s=FILE", dir, t.Name, strings.Join(found, ", "), t.Name)
	}
	return found, nil
}

// suffixes are the extensions of files that can be read.
var suffixes = []string{".jsonl", ".json", ".parquet", ".txt"}

// owns reports whether a path below the data folder is a file of the task's split.
func (t *Task) owns(parts []string) bool {
	name := strings.ToLower(parts[len(parts)-1])
	for _, packed := range []string{".gz", ".bz2"} {
		name = strings.TrimSuffix(name, packed)
	}
	ext := filepath.Ext(name)
	if !slices.Contains(suffixes, ext) || ext == ".txt" && t.Name != "hellaswag" {
		return false
	}
	stem := normal(strings.TrimSuffix(name, ext))
	if t.named(stem) {
		return !t.otherSplit(stem)
	}
	for _, folder := range parts[:len(parts)-1] {
		if slices.Contains(t.aliases, normal(folder)) {
			for _, s := range splitNames[t.Split] {
				if stem == s || strings.HasPrefix(stem, s+"_") {
					return true
				}
			}
		}
	}
	return false
}

// splitNames are the usual names of the splits.
var splitNames = map[string][]string{
	"train":      {"train"},
	"validation": {"validation", "valid", "val", "dev"},
	"test":       {"test"},
}

func (t *Task) named(stem string) bool {
	for _, a := range t.aliases {
		if stem == a || strings.HasPrefix(stem, a+"_") {
			return true
		}
	}
	return false
}

// otherSplit reports whether a file is named after a different split.
func (t *Task) otherSplit(stem string) bool {
	for split, names := range splitNames {
		for _, n := range names {
			if split != t.Split && slices.Contains(strings.Split(stem, "_"), n) {
				return true
			}
		}
	}
	return false
}

// shards reports whether the files are the numbered parts of one data set.
func shards(paths []string) bool {
	for _, p := range paths {
		if !strings.Contains(normal(filepath.Base(p)), "_of_") || filepath.Dir(p) != filepath.Dir(paths[0]) {
			return false
		}
	}
	return true
}
