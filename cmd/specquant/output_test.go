package main

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/specquant/specquant/internal/testmodel"
)

// full is a disk with room for so many bytes.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if n := min(f.room, len(p)); n < len(p) {
		f.room = 0
		return n, syscall.ENOSPC
	}
	f.room -= len(p)
	return len(p), nil
}

// No command says that it is done when its output was lost, at once or in the middle.
func TestOutputLost(t *testing.T) {
	dir := t.TempDir() + "/model"
	if err := testmodel.Write(dir, testmodel.Options{Layers: 1}); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"", "--help", "--version", "help", "help run", "version", "recipes", "recipes rtn", "recipes --json", "info", "info --json", "completion zsh", "man", "man run",
		"inspect " + dir + " --brief", "inspect " + dir + " --brief --json", "plan " + dir + " -r rtn", "plan " + dir + " -r rtn --json", "run " + dir + " -p a -n 2 --ignore-eos",
		"layer --shape 32x32 --tokens 64 --recipes rtn", "layer --shape 32x32 --tokens 64 --recipes rtn --json", "bench " + dir + " --prefill 4 --decode 1 --batch 1 --rounds 1 --json",
	} {
		_, whole, _ := call(strings.Fields(args)...)
		if len(whole) == 0 {
			t.Errorf("%s: wrote nothing", args)
		}
		for _, room := range []int{0, len(whole) / 2} {
			var e bytes.Buffer
			if code := run(strings.Fields(args), &full{room}, &e); code != 1 || !strings.Contains(e.String(), "no space left on device") {
				t.Errorf("%s: room for %d of %d bytes: %d, %s", args, room, len(whole), code, e.String())
			}
		}
	}
	// A command that failed by itself keeps its code.
	o := &output{w: &full{}}
	o.Write([]byte("x"))
	if code := o.status(2, &bytes.Buffer{}); code != 2 || !errors.Is(o.err, syscall.ENOSPC) {
		t.Errorf("%d, %v", code, o.err)
	}
}
