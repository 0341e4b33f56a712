package kernel

import (
	"bufio"
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestTierInstructions assembles the routines of all packages here, macros expanded, and
// holds each to the instruction set that its name claims: a routine for AVX2 has
// neither AVX-512's registers nor its instructions, dot products occur only in
// routines named for them, and what is encoded by hand is the dot product of
// AVX-VNNI or AMX, in routines named for those. One under the wrong name would kill the process
// on an older CPU. (That the guards select by the name is what running the
// tests on such a CPU shows, emulated or real.)
func TestTierInstructions(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to assemble with")
	}
	out, err := exec.Command(goTool, "build", "-asmflags=-S", "./...").CombinedOutput()
	if err != nil {
		t.Skipf("building the packages: %v\n%s", err, out)
	}
	var (
		symbol  = regexp.MustCompile(`kernel/\w+\.(\w+) STEXT`)
		avx512  = regexp.MustCompile(`\b(Z\d+|K[0-7]|[XY](1[6-9]|2\d|3[01]))\b|\t(VPTERNLOG|VPERMT2|VPERMI2|VPMOVM2|VRNDSCALE|VRANGE|VREDUCE|VMOVDQU(8|16|32|64)|VPMOV[SU]*[DQW][BWD])`)
		dot     = regexp.MustCompile(`\tVPDP`)
		encoded = regexp.MustCompile(`\tBYTE\t\$(\d+)`)
		checked int

		byHand, byHandAMX int
	)
	name, code := "", []byte(nil)
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
		vex, amx := strings.Contains(name, "AVXVNNI"), strings.Contains(name, "AMX")
		if m := encoded.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			code = append(code, byte(n))
			continue
		}
		// VEX.256.66.0F38.W0 50 /r between registers.
		for ; len(code) >= 5 && code[0] == 0xc4 && code[1]&0x1f == 2 && code[2]&0x87 == 5 && code[3] == 0x50 && code[4] >= 0xc0; code = code[5:] {
			byHand++
			if !vex {
				t.Errorf("%s, not for AVX-VNNI by its name, has its dot product before %s", name, strings.TrimSpace(line))
			}
		}
		for n := amxLength(code); n > 0 && n <= len(code); n = amxLength(code) {
			if byHandAMX++; !amx {
				t.Errorf("%s, not for AMX by its name, has an instruction of AMX before %s", name, strings.TrimSpace(line))
			}
			code = code[n:]
		}
		if len(code) > 0 {
			t.Errorf("%s has % x, encoded by hand, which this test does not know, before %s", name, code, strings.TrimSpace(line))
			code = nil
		}
		wide := strings.Contains(name, "512") || strings.Contains(name, "VNNI") && !vex || amx
		if !wide && avx512.MatchString(line) {
			t.Errorf("%s, for AVX2 by its name, has AVX-512: %s", name, strings.TrimSpace(line))
		}
		if dot.MatchString(line) && (vex || !strings.Contains(name, "VNNI")) {
			t.Errorf("%s, not for AVX-512 VNNI by its name, has its dot product: %s", name, strings.TrimSpace(line))
		}
	}
	if checked < 100 {
		t.Errorf("only %d routines were found", checked)
	}
	if byHand < 500 {
		t.Errorf("only %d dot products of AVX-VNNI were found", byHand)
	}
	if byHandAMX < 50 {
		t.Errorf("only %d instructions of AMX were found", byHandAMX)
	}
	t.Logf("%d routines, %d dot products of AVX-VNNI, %d instructions of AMX", checked, byHand, byHandAMX)
}

// amxLength is the length of the instruction of AMX that code begins with, or 0: with VEX
// in three bytes, map 0F38, and opcode 49 (configure, release, zero), 4B (load, store)
// or 5E (products of bytes).
func amxLength(code []byte) int {
	if len(code) < 5 || code[0] != 0xc4 || code[1]&0x1f != 2 || !slices.Contains([]byte{0x49, 0x4b, 0x5e}, code[3]) {
		return 0
	}
	if code[4] < 0xc0 && code[4]&7 == 4 { // an address of base and index
		return 6
	}
	return 5
}
