package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/specquant/specquant/internal/testmodel"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"specquant": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScript runs the scripts of testdata/script, one for each feature, against
// the real command.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error { // nobody's own models, and no real hub
			e.Setenv("HF_HOME", filepath.Join(e.WorkDir, "hf"))
			e.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// mkmodel DIR writes a small random checkpoint.
			"mkmodel": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Check(testmodel.Write(ts.MkAbs(args[0]), testmodel.Options{Layers: 2}))
			},
			// mkchat DIR writes a small random checkpoint with a chat template.
			"mkchat": func(ts *testscript.TestScript, neg bool, args []string) {
				dir := ts.MkAbs(args[0])
				ts.Check(testmodel.Write(dir, testmodel.Options{Layers: 2, Context: 128}))
				ts.Check(os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte("{% for m in messages %}{{ m.role[0] }}:{{ m.content }}|{% endfor %}a:"), 0o644))
			},
			// hub DIR serves the folder as the repository org/model of a hub, and counts
			// what is asked for in the file DIR.log.
			"hub": func(ts *testscript.TestScript, neg bool, args []string) {
				server := serveHub(ts.MkAbs(args[0]))
				ts.Defer(server.Close)
				ts.Setenv("HF_ENDPOINT", server.URL)
			},
			// mktext FILE N writes N sentences.
			"mktext": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat("A sentence about nothing in particular, no. 42. ", 40)), 0o644))
			},
			// latin1 FILE writes text that is not UTF-8.
			"latin1": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("caf\xe9 "), 0o644))
			},
			// truncate FILE cuts a file in half.
			"truncate": func(ts *testscript.TestScript, neg bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[0]))
				ts.Check(err)
				ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()/2))
			},
		},
	})
}

func TestSize(t *testing.T) {
	for in, want := range map[string]int64{"8GB": 8e9, "8gb": 8e9, "1.5GiB": 3 << 29, "500MiB": 500 << 20, "70 k": 70000, "12": 12, "12B": 12, "0": 0} {
		var s size
		if err := s.UnmarshalText([]byte(in)); err != nil || int64(s) != want {
			t.Errorf("%q: %d, %v; want %d", in, s, err, want)
		}
	}
	for _, in := range []string{"", "GB", "-1", "x", "1e300GB", "NaN", "1TBB"} {
		var s size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q: accepted as %d", in, s)
		}
	}
}
