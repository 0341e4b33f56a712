package pipeline

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// noImports leaves what other packages declare unknown: only names of this one matter.
type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not imported") }

// fileArrows lists, for each file of this package that is no test, the other files
// whose declarations it uses.
func fileArrows(t *testing.T) map[string][]string {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") || strings.HasSuffix(p, "_other.go") {
			continue // the other systems' variants declare the same names
		}
		f, err := parser.ParseFile(fset, p, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}}
	_, _ = conf.Check("pipeline", fset, files, &info) // errors are about what is not imported
	arrows := map[string][]string{}
	for _, f := range files {
		arrows[fset.Position(f.Package).Filename] = nil
	}
	for id, object := range info.Uses {
		if object.Pkg() == nil || object.Pkg().Name() != "pipeline" || !object.Pos().IsValid() {
			continue
		}
		if _, ok := object.(*types.PkgName); ok {
			continue
		}
		from, to := fset.Position(id.Pos()).Filename, fset.Position(object.Pos()).Filename
		if from != to && !slices.Contains(arrows[from], to) {
			arrows[from] = append(arrows[from], to)
		}
	}
	return arrows
}

// order is how the package reads, from the top: the door, the job's stages in time, what
// they share, and below that the plan, which is data and knows no job.
var order = []string{
	"job.go", "prepare.go", "budget.go", "run.go", "finish.go",
	"learn_rotations.go", "distil.go", "resume.go", "target.go", "store.go",
	"rewrite.go", "lock_unix.go", "space_statfs.go", "check_ranges.go",
	"options.go", "sources.go", "profile.go", "progress.go",
	"plan_measure.go", "plan.go", "choices.go", "schedule.go", "fallback.go", "compatibility.go",
	"plan_time.go", "plan_learn.go", "plan_memory.go", "resolve.go", "beside.go", "fill.go", "sizes.go",
}

func TestFilesReadDownwards(t *testing.T) {
	for from, used := range fileArrows(t) {
		at := slices.Index(order, from)
		if at < 0 {
			t.Errorf("%s has no place in the order of files", from)
			continue
		}
		for _, to := range used {
			if i := slices.Index(order, to); i >= 0 && i < at {
				t.Errorf("%s uses %s, which stands above it", from, to)
			}
		}
	}
}
