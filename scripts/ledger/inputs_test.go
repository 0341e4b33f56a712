package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant"
	"github.com/specquant/specquant/internal/testdata"
	"github.com/specquant/specquant/internal/testmodel"
)

func TestCut(t *testing.T) {
	data, work := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "text"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "text", "a.txt"), []byte("0123456789é"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		evaluation, file, err := text{"a.txt", 3, 4}.cut(data, work)
		if err != nil {
			t.Fatal(err)
		}
		calibration, err := os.ReadFile(file)
		if err != nil || evaluation != "012" || string(calibration) != "89é" {
			t.Errorf("got %q and %q, %v", evaluation, calibration, err)
		}
	}
	for _, bad := range []text{{"a.txt", 3, 1}, {"a.txt", 7, 6}, {"b.txt", 1, 1}} {
		if _, _, err := bad.cut(data, work); err == nil {
			t.Errorf("%v: cut", bad)
		}
	}
}

// TestFolder: a model is used where it lies, imported, or planted, and what was
// interrupted is made again.
func TestFolder(t *testing.T) {
	data, work := t.TempDir(), t.TempDir()
	plain := filepath.Join(data, "models", "m")
	if err := os.MkdirAll(filepath.Dir(plain), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := testmodel.Write(plain, testmodel.Options{}); err != nil {
		t.Fatal(err)
	}
	if got, err := (model{Name: "m"}).folder(data, work); err != nil || got != plain {
		t.Errorf("got %s, %v", got, err)
	}
	left := filepath.Join(work, "models", "planted-m.partial")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := model{Name: "planted-m"}.folder(data, work)
		if err != nil {
			t.Fatal(err)
		}
		m, err := specquant.Open(got, specquant.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
	}
	if _, err := os.Stat(left); err == nil {
		t.Errorf("%s is left", left)
	}
	if _, err := (model{Name: "none"}).folder(data, work); err == nil || !strings.Contains(err.Error(), "no config.json and 0 GGUF files") {
		t.Errorf("a model that is not there: %v", err)
	}
}

// TestData: the data folder has what the plan names.
func TestData(t *testing.T) {
	data, work := testdata.Path(t), t.TempDir()
	for name, x := range texts {
		if _, _, err := x.cut(data, work); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range models[:len(models)/2] {
		if _, err := m.folder(data, work); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}
