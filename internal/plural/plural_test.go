package plural

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for want, got := range map[string]string{
		"0 tokens":                   Of(0, "token"),
		"1 token":                    Of(1, "token"),
		"2 tokens":                   Of(int32(2), "token"),
		"-1 tokens":                  Of(-1, "token"),
		"-9223372036854775808 bytes": Of(int64(math.MinInt64), "byte"),
		"18446744073709551615 bytes": Of(uint64(math.MaxUint64), "byte"),
		"1 block is":                 Of(1, "block is", "blocks are"),
		"3 blocks are":               Of(uint32(3), "block is", "blocks are"),
	} {
		if got != want {
			t.Errorf("found %q, expected %q", got, want)
		}
	}
}

// counted is a number in a format, followed by a noun in the plural. Byte 1 is, row 1 has, %d of its: no nouns.
var counted = regexp.MustCompile(`%d ((?:[a-z/-]+ )?[a-z]+s)\b`)

// notNouns follow numbers without being counted by them: "token 1 is", "65536 of the sizes", "16 for 16-bit floats", and the shapes "2 groups", "2 weights" of "3×2 weights".
var notNouns = regexp.MustCompile(`^(is|has|does|lies|ends|differs|reaches|overlaps|goes|keeps|as|its)$|^(of|for|and|with|in|to|or) `)

// TestMessages: no message outside the packages whose errors are only for programmers counts with %d.
func TestMessages(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, folder := range []string{"cmd", "internal", "."} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() {
				switch d.Name() {
				case "kernel", "grad", "linalg", "spectrum", "ggml", "testmodel", "testdata":
					return fs.SkipDir
				}
				if folder == "." && filepath.Clean(path) != root {
					return fs.SkipDir
				}
				return nil
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, src, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					return true
				}
				for _, m := range counted.FindAllStringSubmatch(text, -1) {
					if !notNouns.MatchString(m[1]) {
						t.Errorf("%s: %q: found %%d %s, expected %%s and plural.Of", set.Position(lit.Pos()), text, m[1])
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
