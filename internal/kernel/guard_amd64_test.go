package kernel

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTierInstructions assembles the package's routines, macros expanded, and
// holds each to the instruction set that its name claims: a routine for AVX2 has
// neither AVX-512's registers nor its instructions, and dot products occur only
// in routines named for them. One under the wrong name would kill the process
// on an older CPU. (That the guards select by the name is what running the
// tests on such a CPU shows, emulated or real.)
func TestTierInstructions(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to assemble with")
	}
	out, err := exec.Command(goTool, "build", "-asmflags=-S", "-o", filepath.Join(t.TempDir(), "kernel.a"), ".").CombinedOutput()
	if err != nil {
		t.Skipf("building the package: %v\n%s", err, out)
	}
	var (
		symbol  = regexp.MustCompile(`kernel\.(\w+) STEXT`)
		avx512  = regexp.MustCompile(`\b(Z\d+|K[0-7]|[XY](1[6-9]|2\d|3[01]))\b|\t(VPTERNLOG|VPERMT2|VPERMI2|VPMOVM2|VRNDSCALE|VRANGE|VREDUCE|VMOVDQU(8|16|32|64)|VPMOV[SU]*[DQW][BWD])`)
		dot     = regexp.MustCompile(`\tVPDP`)
		checked int
	)
	name := ""
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		line := s.Text()
		if m := symbol.FindStringSubmatch(line); m != nil {
			name = m[1]
			checked++
			continue
		}
		if !strings.Contains(line, ".s:") && !strings.Contains(line, ".h:") {
			continue // the bytes, not the instructions
		}
		wide := strings.Contains(name, "512") || strings.Contains(name, "VNNI")
		if !wide && avx512.MatchString(line) {
			t.Errorf("%s, for AVX2 by its name, has AVX-512: %s", name, strings.TrimSpace(line))
		}
		if dot.MatchString(line) && !strings.Contains(name, "VNNI") {
			t.Errorf("%s, not for VNNI by its name, has a dot product: %s", name, strings.TrimSpace(line))
		}
	}
	if checked < 100 {
		t.Errorf("only %d routines were found", checked)
	}
	t.Logf("%d routines", checked)
}
