package artefact

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/testmodel"
)

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	if err := testmodel.Write(dir, testmodel.Options{Config: map[string]any{"quantization_config": map[string]any{"quant_method": Method}}}); err != nil {
		t.Fatal(err)
	}
	manifest := func(m Manifest) {
		t.Helper()
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ManifestFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	manifest(Manifest{})
	if err := Verify(dir); !errors.Is(err, ErrNoSums) {
		t.Errorf("without sums: %v", err)
	}
	files, err := Sums(dir, []string{"tokenizer.json", "model.safetensors", "config.json"})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 || files[0].Name != "config.json" || files[2].Name != "tokenizer.json" {
		t.Errorf("not sorted: %+v", files)
	}
	manifest(Manifest{Files: files})
	if err := Verify(dir); err != nil {
		t.Error(err)
	}
	path := filepath.Join(dir, "model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0x80
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	err = Verify(dir)
	if !errors.Is(err, checkpoint.ErrMalformed) {
		t.Errorf("damaged: %v", err)
	}
	wantError(t, "damaged", err, path, files[1].SHA256, "quantize again")
	if err := Verify(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
