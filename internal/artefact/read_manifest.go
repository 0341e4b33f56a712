package artefact

import (
	"fmt"
	"path/filepath"

	"github.com/specquant/specquant/internal/input"
)

// ReadManifest reads the manifest of the artefact in a folder; fs.ErrNotExist if
// there is none.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestFile)
	data, err := input.ReadFile(path, input.MaxSmall)
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := input.JSON(data, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &m, nil
}
