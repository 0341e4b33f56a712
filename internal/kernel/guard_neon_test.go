package kernel

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestNEONInstructions assembles the packages for arm64, on any machine, and holds
// the int8 dot product, which older CPUs lack, to the routines named for it.
// NEON instructions are encoded by hand: what a CPU of the first generation does
// not have is found by its bits.
func TestNEONInstructions(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to assemble with")
	}
	cmd := exec.Command(goTool, "build", "-asmflags=-S", "./...")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("building the packages for arm64: %v\n%s", err, out)
	}
	var (
		symbol  = regexp.MustCompile(`kernel/\w+\.(\w+) STEXT`)
		encoded = regexp.MustCompile(`\tWORD\t\$(\d+)`)
		beyond  = []struct {
			what       string
			mask, bits uint32
			dot        bool
		}{
			{"int8 dot product by element", 0x9f00f400, 0x0f00e000, true},
			{"int8 dot product", 0x9f20fc00, 0x0e009400, true},
			{"int8 matrix product", 0xdf20f400, 0x4e00a400, false},
			{"SVE", 0x1e000000, 0x04000000, false},
			{"product of half precision", 0x9f60c400, 0x0e400400, false},
		}
		routines, words, dots int
		name                  string
	)
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		line := s.Text()
		if m := symbol.FindStringSubmatch(line); m != nil {
			name = m[1]
			routines++
			continue
		}
		m := encoded.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		n, err := strconv.ParseUint(m[1], 10, 32)
		if err != nil {
			t.Fatalf("%s: %v", strings.TrimSpace(line), err)
		}
		words++
		for _, b := range beyond {
			if uint32(n)&b.mask != b.bits {
				continue
			}
			dots++
			if !b.dot || !strings.HasPrefix(name, "intDot") {
				t.Errorf("%s has %#08x, %s: %s", name, n, b.what, strings.TrimSpace(line))
			}
		}
	}
	if routines < 100 || dots < 1000 {
		t.Errorf("only %d routines with %d dot products were found", routines, dots)
	}
	t.Logf("%d routines, %d instructions encoded by hand, %d dot products", routines, words, dots)
}
