package hub

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParseName takes anything for a name: what is accepted stays in its folder, on this
// system and by the rules of the others.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"org/model", "org/model@v1:sub/x.gguf", "../x", "a/b:../../x", "a/b:C:\\x", "a/b@refs/pr/1", "a/b:nul.gguf", "a/b:x/./y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		root := filepath.Join(string(filepath.Separator), "cache")
		for _, path := range []string{filepath.Join(root, n.folder()), filepath.Join(root, n.folder(), "refs", filepath.FromSlash(n.revision())), filepath.Join(root, n.folder(), "snapshots", "c", filepath.FromSlash(n.File))} {
			if !strings.HasPrefix(path, filepath.Join(root, n.folder())) || strings.Contains(filepath.ToSlash(path)+"/", "/../") || strings.ContainsAny(path, "\\\x00") && filepath.Separator == '/' {
				t.Errorf("%q becomes %s", s, path)
			}
		}
		if again, err := ParseName(n.String()); err != nil || again != n {
			t.Errorf("%q is read as %+v, written as %q, read as %+v, %v", s, n, n, again, err)
		}
	})
}
