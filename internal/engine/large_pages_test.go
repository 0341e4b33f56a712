package engine

import (
	"os"
	"strings"
	"testing"
)

// largePagesHere reports whether this system gives large pages to who asks for them.
func largePagesHere() bool {
	data, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	return err == nil && !strings.Contains(string(data), "[never]")
}

func TestLargePages(t *testing.T) {
	p := largePages{limit: 100 << 20}
	defer p.close()
	if !largePagesHere() {
		if p.take(1) != nil {
			t.Error("large pages where there are none")
		}
		return
	}
	a, b, c := p.take(1000), p.take(1), p.take(regionBytes)
	if a == nil || b == nil || c == nil {
		t.Fatal("no large pages")
	}
	for _, s := range [][]byte{a, b, c} {
		for _, v := range []int{0, len(s) - 1} {
			if s[v] != 0 {
				t.Fatal("memory that is in use already, or not zero")
			}
			s[v] = 1
		}
	}
	if p.take(100<<20) != nil {
		t.Error("more than the limit")
	}
}

// A model of more than half of the machine's memory stays in the mapped file.
func TestLargePagesOfLargeModels(t *testing.T) {
	old := machineMemory
	defer func() { machineMemory = old }()
	machineMemory = func() int64 { return 1000 }
	for bytes, want := range map[int64]bool{500: true, 501: false} {
		m := &Model{}
		if m.allowLargePages(bytes); (m.pages.limit > 0) != want {
			t.Errorf("%d bytes of 1000: limit %d", bytes, m.pages.limit)
		}
	}
}

// LargeRegions is the number of regions of large pages, for tests.
func (m *Model) LargeRegions() int { return len(m.pages.regions) }

// LargePagesHere is largePagesHere.
var LargePagesHere = largePagesHere
