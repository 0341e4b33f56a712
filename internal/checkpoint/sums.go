package checkpoint

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/specquant/specquant/internal/input"
	"github.com/specquant/specquant/internal/plural"
)

// ManifestFile is the file in a quantized model's folder that records how it was made. Its
// list "files" has the name, size and sha256 of every other file.
const ManifestFile = "specquant.json"

// maxManifest is the largest specquant.json that is read, in bytes: that of a model with a
// hundred blocks has less than a megabyte.
const maxManifest = 64 << 20

// ErrNoSums: the folder has no checksums of its files.
var ErrNoSums = errors.New("no sums of the files")

// sumsHint is the advice for files that differ from those that were written.
const sumsHint = "the artefact is damaged or was changed: copy it again, or quantize again"

// readManifestSums reads the manifest's list of files; nil if there is no manifest, or one
// of an early version without the list. mustSeal: the manifest must contain its own
// checksum.
func readManifestSums(dir string, mustSeal bool) ([]FileHash, error) {
	path := filepath.Join(dir, ManifestFile)
	data, err := readSmall(path, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch err := CheckSeal(data); {
	case err == nil:
	case errors.Is(err, ErrDamaged), mustSeal:
		return nil, damaged("%s: is not the text that was written: the sum at its end does not fit; %s", path, sumsHint)
	}
	return parseSums(data, path)
}

// parseSums reads the list in a manifest. Names outside the folder, invalid sizes or
// checksums, and files listed twice are errors.
func parseSums(data []byte, file string) ([]FileHash, error) {
	var m struct {
		Files []FileHash `json:"files"`
	}
	if err := input.JSON(data, &m); err != nil {
		return nil, malformed("%s: %v; %s", file, err, sumsHint)
	}
	seen := map[string]bool{}
	for i, f := range m.Files {
		raw, err := hex.DecodeString(f.SHA256)
		switch {
		case f.Name == "" || f.Name == ManifestFile || len(f.Name) > 255 || strings.ContainsAny(f.Name, "/\\:\x00") || !filepath.IsLocal(f.Name) || filepath.Base(f.Name) != f.Name:
			return nil, malformed("%s: files: entry %d: name is %q, expected a plain file name; %s", file, i, f.Name, sumsHint)
		case seen[f.Name]:
			return nil, malformed("%s: files: %q is listed twice, expected once; %s", file, f.Name, sumsHint)
		case f.Bytes < 0:
			return nil, malformed("%s: files: %q has %s, expected 0 or more; %s", file, f.Name, plural.Of(f.Bytes, "byte"), sumsHint)
		case err != nil || len(raw) != 32 || strings.ToLower(f.SHA256) != f.SHA256:
			return nil, malformed("%s: files: sha256 of %q is %q, expected 64 lower-case hexadecimal digits; %s", file, f.Name, f.SHA256, sumsHint)
		}
		seen[f.Name] = true
	}
	return m.Files, nil
}

// Sums are the files of a quantized model as listed in its manifest; nil if it lists none.
// Open has compared their sizes with the list.
func (c *Checkpoint) Sums() []FileHash { return c.sums }

// sealedVersion is the first version of the artefact format whose files must contain their
// own checksums.
const sealedVersion = 5

// formatVersion is the format version of a quantized model; 0 if its config has none.
func (c *Checkpoint) formatVersion() int {
	var q struct {
		Version int `json:"format_version"`
	}
	_ = json.Unmarshal(c.Config.Quantization, &q) // errors are reported when the config is parsed
	return q.Version
}

// checkContents compares the contents of a quantized model's files with their checksums, so
// that no damage goes unnoticed: the tensors with their CRC-32C, all other files with the
// manifest's sha256, and the manifest with its own checksum. For models of earlier
// versions, the checks for which they have checksums are made.
func (c *Checkpoint) checkContents() error {
	if c.Config.Quantization == nil {
		return nil
	}
	version, sealed := c.formatVersion(), true
	for _, f := range c.files {
		sealed = sealed && f.Sealed()
	}
	if !sealed && version >= sealedVersion {
		return damaged("%s: a .safetensors file carries no sums of its tensors, expected them in format_version %d; %s", c.Dir, version, sumsHint)
	}
	c.Unsummed = !sealed || c.sums == nil
	var small []string
	var at []int
	for i, s := range c.sums {
		if filepath.Ext(s.Name) != ".safetensors" {
			small, at = append(small, filepath.Join(c.Dir, s.Name)), append(at, i)
		}
	}
	found, err := HashFiles(small...)
	if err != nil {
		return err
	}
	byIndex := map[int]FileHash{}
	for k, i := range at {
		byIndex[i] = found[k]
	}
	err = c.compare(func(i int) (FileHash, error) {
		if f, ok := byIndex[i]; ok {
			return f, nil
		}
		return c.sums[i], nil
	})
	if err != nil || !sealed {
		return err
	}
	if err := checkSums(c.files); err != nil {
		return fmt.Errorf("%w; %s", err, sumsHint)
	}
	return nil
}

// checkSizes reads the manifest of a quantized model and compares the files' sizes with it,
// without reading the files. A file that affects the result must be listed.
func (c *Checkpoint) checkSizes() error {
	if c.Config.Quantization == nil {
		return nil
	}
	var err error
	if c.sums, err = readManifestSums(c.Dir, c.formatVersion() >= sealedVersion); err != nil || c.sums == nil {
		return err
	}
	read := []string{configFile}
	for _, f := range c.files {
		read = append(read, filepath.Base(f.Path()))
	}
	for _, name := range read {
		if !slices.ContainsFunc(c.sums, func(h FileHash) bool { return h.Name == name }) {
			return malformed("%s: %s does not list it, expected all files of the model; %s", filepath.Join(c.Dir, name), ManifestFile, sumsHint)
		}
	}
	return c.compare(func(i int) (FileHash, error) {
		want := c.sums[i]
		path := filepath.Join(c.Dir, want.Name)
		st, err := input.Stat(path)
		if err == nil && !st.Mode().IsRegular() {
			err = malformed("%s: is %s, expected a regular file; %s", path, input.Kind(st.Mode()), sumsHint)
		}
		if err != nil {
			return FileHash{}, err
		}
		return FileHash{Name: want.Name, Bytes: st.Size(), SHA256: want.SHA256}, nil
	})
}

// Verify reads all files of a quantized model and compares them with the checksums in its
// manifest. The error names the first damaged file, what was found and expected, and counts
// the others; it is ErrMalformed, or ErrNotFound for a missing file. A model without
// checksums, such as a full-precision checkpoint, is ErrNoSums. Files that were found
// intact before are not read again.
func (c *Checkpoint) Verify() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.verified {
		return nil
	}
	if c.Config.Quantization == nil {
		return &kindError{ErrNoSums, fmt.Sprintf("%s: is in full precision and has no checksums to compare its files with", c.Dir)}
	}
	if c.sums == nil {
		return &kindError{ErrNoSums, fmt.Sprintf("%s: its %s has no checksums of the files (early versions wrote none), so damage cannot be detected; quantize again to add them", c.Dir, ManifestFile)}
	}
	var paths []string
	for _, s := range c.sums {
		paths = append(paths, filepath.Join(c.Dir, s.Name))
	}
	found, err := HashFiles(paths...)
	if err != nil {
		// A file has disappeared since Open; compare names it like a damaged one.
		err = c.compare(func(i int) (FileHash, error) {
			h, err := HashFiles(paths[i])
			if err != nil {
				return FileHash{}, err
			}
			return h[0], nil
		})
	} else {
		err = c.compare(func(i int) (FileHash, error) { return found[i], nil })
	}
	c.verified = err == nil
	return err
}

// compare compares the files, as returned by found, with the manifest's list.
func (c *Checkpoint) compare(found func(i int) (FileHash, error)) error {
	var first error
	faults := 0
	for i, want := range c.sums {
		path := filepath.Join(c.Dir, want.Name)
		got, err := found(i)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = notFound("%s: is missing, expected %s by %s; %s", path, plural.Of(want.Bytes, "byte"), ManifestFile, sumsHint)
		case err != nil:
		case got.Bytes != want.Bytes:
			err = malformed("%s: has %s, expected %d by %s; %s", path, plural.Of(got.Bytes, "byte"), want.Bytes, ManifestFile, sumsHint)
		case got.SHA256 != want.SHA256:
			err = malformed("%s: has sha256 %s, expected %s by %s; %s", path, got.SHA256, want.SHA256, ManifestFile, sumsHint)
		}
		if err != nil {
			faults++
			if first == nil {
				first = err
			}
		}
	}
	if faults > 1 {
		return fmt.Errorf("%w (and %s at fault)", first, plural.Of(faults-1, "more file"))
	}
	return first
}
