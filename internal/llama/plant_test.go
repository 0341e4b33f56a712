package llama_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/llama"
	"github.com/specquant/specquant/internal/testmodel"
)

// What is not whole does not appear: neither the folder nor what it was made in.
func TestPlantLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	model, work := filepath.Join(dir, "model"), filepath.Join(dir, "work")
	if err := testmodel.Write(model, testmodel.Options{Layers: 1}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	ck, err := checkpoint.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	// A tokenizer's file that can't be read, after the weights are written.
	if err := os.Mkdir(filepath.Join(model, "odd"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(work, "out")
	if err := llama.Plant(ck, out, 1, 30, 1, []string{"odd"}); err == nil {
		t.Fatal("a folder was copied as a file")
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := llama.Plant(ck, out, 1, 30, 1, []string{"tokenizer.json"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(out)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := llama.Plant(ck, out, 1, 30, 1, nil); err == nil {
		t.Error("written over")
	}
	if left, _ := os.ReadDir(work); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
