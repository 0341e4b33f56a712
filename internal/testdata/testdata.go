// Package testdata finds the models, texts and vectors that tests measure on.
// They are not part of the project: where they are absent the test is skipped
// and says so.
package testdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Env names the environment variable that holds the data folder.
const Env = "SPECQUANT_DATA"

// Path returns the path of a file or folder below the data folder, or skips
// the test where it is absent.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv(Env)
	if root == "" {
		root = defaultRoot(t)
	}
	p := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no test data: %v (set %s to the data folder)", err, Env)
	}
	return p
}

// defaultRoot is ../shared/data beside the module's root.
func defaultRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared", "data")
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Skip("no test data: not inside the module")
		}
		dir = parent
	}
}
