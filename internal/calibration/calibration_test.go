package calibration

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/specquant/specquant/internal/checkpoint"
	"pgregory.net/rapid"
)

// runes is an encoder: one token a character, 1 before each text.
type runes struct{}

func (runes) Encode(text string, addSpecial bool) ([]int, error) {
	if strings.Contains(text, "!") {
		return nil, errors.New("no exclamations")
	}
	var ids []int
	if addSpecial {
		ids = append(ids, 1)
	}
	for _, r := range text {
		ids = append(ids, int(r))
	}
	return ids, nil
}

// counting is a text of n−1 different characters, n tokens with the first.
func counting(n int) Text {
	var b strings.Builder
	for i := range n - 1 {
		b.WriteRune(rune(0x4e00 + i))
	}
	return Text{Source: checkpoint.FileHash{Name: "counting", Bytes: int64(b.Len())}, Text: b.String()}
}

func TestNewSet(t *testing.T) {
	for _, c := range []struct {
		name                    string
		ids, samples, tokens    int
		wantWindows, wantTokens int
	}{
		{"exact multiple", 1024, 10, 256, 4, 256},
		{"one token over", 1025, 10, 256, 4, 256},
		{"one token short", 1023, 10, 256, 3, 256},
		{"exactly one window", 512, 10, 512, 1, 512},
		{"shorter than a window", 300, 10, 2048, 1, 300},
		{"just enough for one short window", 256, 10, 2048, 1, 256},
		{"short windows", 10, 100, 4, 2, 4},
		{"windows of one token", 3, 100, 1, 3, 1},
		{"as many as asked for", 1024, 4, 256, 4, 256},
		{"a choice", 1024, 3, 256, 3, 256},
		{"one of many", 4000, 1, 256, 1, 256},
	} {
		text := counting(c.ids)
		s, err := NewSet(runes{}, []Text{text}, c.samples, c.tokens, 1)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(s.Windows) != c.wantWindows || s.Tokens != c.wantTokens {
			t.Errorf("%s: %d windows of %d tokens, want %d of %d", c.name, len(s.Windows), s.Tokens, c.wantWindows, c.wantTokens)
		}
		if !reflect.DeepEqual(s.Sources, []checkpoint.FileHash{text.Source}) {
			t.Errorf("%s: sources %v", c.name, s.Sources)
		}
		checkWindows(t, s, []Text{text})
	}
}

// checkWindows verifies that the windows are whole, in the order of the text,
// do not overlap, and hash to the set's hash.
func checkWindows(t rapid.TB, s *Set, texts []Text) {
	t.Helper()
	var ids []int
	for _, x := range texts {
		more, _ := runes{}.Encode(x.Text, true)
		ids = append(ids, more...)
	}
	h := sha256.New()
	at := 0
	for i, w := range s.Windows {
		if len(w) != s.Tokens {
			t.Fatalf("window %d has %d tokens, want %d", i, len(w), s.Tokens)
		}
		for at+len(w) <= len(ids) && !slices.Equal(ids[at:at+len(w)], w) {
			at += s.Tokens // windows lie at multiples of their length
		}
		if at+len(w) > len(ids) {
			t.Fatalf("window %d is not in the text after the windows before it", i)
		}
		at += len(w)
		for _, id := range w {
			h.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)})
		}
	}
	if sum := hex.EncodeToString(h.Sum(nil)); s.Hash != sum {
		t.Fatalf("hash %s, want %s", s.Hash, sum)
	}
}

func TestNewSetProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var texts []Text
		total := 0
		for range rapid.IntRange(1, 3).Draw(t, "texts") {
			n := rapid.IntRange(1, 900).Draw(t, "length")
			texts = append(texts, counting(n))
			total += n
		}
		samples, tokens := rapid.IntRange(1, 20).Draw(t, "samples"), rapid.IntRange(1, 600).Draw(t, "tokens")
		seed := rapid.Uint64().Draw(t, "seed")
		s, err := NewSet(runes{}, texts, samples, tokens, seed)
		if total < min(tokens, minTokens) {
			if err == nil {
				t.Fatalf("%d tokens in windows of %d: no error", total, tokens)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		all := total / min(tokens, total)
		held := min(all/10, max(1, samples/9))
		if want := min(samples, all-all/10); len(s.Windows) != want || len(s.HeldOut) != held {
			t.Fatalf("%d windows and %d held out, want %d and %d", len(s.Windows), len(s.HeldOut), want, held)
		}
		for _, h := range s.HeldOut {
			for _, w := range s.Windows {
				if &h[0] == &w[0] {
					t.Fatal("a window is held out and fitted on")
				}
			}
		}
		checkWindows(t, s, texts)
		again, err := NewSet(runes{}, texts, samples, tokens, seed)
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("the same seed chose other windows: %v", err)
		}
	})
}

func TestNewSetSeed(t *testing.T) {
	text := []Text{counting(256 * 50)}
	hashes := map[string]bool{}
	for seed := range uint64(5) {
		s, err := NewSet(runes{}, text, 10, 256, seed)
		if err != nil {
			t.Fatal(err)
		}
		hashes[s.Hash] = true
	}
	if len(hashes) != 5 {
		t.Errorf("5 seeds made %d choices", len(hashes))
	}
	// Where all windows are taken, there is nothing to choose.
	a, err := NewSet(runes{}, text, 50, 256, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewSet(runes{}, text, 60, 256, 2)
	if err != nil || a.Hash != b.Hash || len(a.Windows) != 45 || len(a.HeldOut) != 5 {
		t.Errorf("%d windows of hash %s, then %s: %v", len(a.Windows), a.Hash, b.Hash, err)
	}
}

// The choice is part of the artefact's reproducibility: it must not move with
// a release of this program or of Go.
func TestNewSetChoiceIsFixed(t *testing.T) {
	s, err := NewSet(runes{}, []Text{counting(256 * 20)}, 4, 256, 7)
	if err != nil {
		t.Fatal(err)
	}
	var starts []int
	for _, w := range s.Windows {
		first := w[0]
		if first == 1 {
			first = 0x4e00 - 1
		}
		starts = append(starts, (first-0x4e00+1)/256)
	}
	if want := []int{1, 14, 15, 17}; !slices.Equal(starts, want) {
		t.Errorf("seed 7 chooses windows %v of 20, want %v", starts, want)
	}
}

// Windows share memory with each other, not with an append to one of them.
func TestWindowsDoNotGrowIntoEachOther(t *testing.T) {
	s, err := NewSet(runes{}, []Text{counting(512)}, 2, 256, 1)
	if err != nil {
		t.Fatal(err)
	}
	second := slices.Clone(s.Windows[1])
	_ = append(s.Windows[0], -1)
	if !slices.Equal(s.Windows[1], second) {
		t.Error("appending to a window overwrote the next")
	}
}

func TestNewSetRefuses(t *testing.T) {
	for _, c := range []struct {
		name            string
		texts           []Text
		samples, tokens int
		want            []string
	}{
		{"no text", nil, 10, 512, []string{"0 tokens", "at least 256"}},
		{"short", []Text{counting(255)}, 10, 512, []string{"255 tokens", "at least 256", "longer"}},
		{"shorter than a short window", []Text{counting(3)}, 10, 4, []string{"3 tokens", "at least 4"}},
		{"no samples", []Text{counting(999)}, 0, 512, []string{"0 windows of 512"}},
		{"negative samples", []Text{counting(999)}, -1, 256, []string{"-1 windows"}},
		{"no tokens", []Text{counting(999)}, 10, 0, []string{"windows of 0"}},
		{"negative tokens", []Text{counting(999)}, 10, math.MinInt, []string{"windows of -"}},
		{"encoder", []Text{counting(999), {Source: checkpoint.FileHash{Name: "loud.txt"}, Text: "hey!"}}, 10, 512, []string{"loud.txt", "no exclamations"}},
	} {
		s, err := NewSet(runes{}, c.texts, c.samples, c.tokens, 1)
		if err == nil || s != nil {
			t.Errorf("%s: set %v, error %v", c.name, s, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q lacks %q", c.name, err, want)
			}
		}
	}
}

func put(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFiles(t *testing.T) {
	a, b := put(t, "a.txt", []byte("first\n")), put(t, "b.txt", []byte("zweite, schön"))
	got, err := ReadFiles(t.Context(), []string{a, b})
	if err != nil {
		t.Fatal(err)
	}
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	want := []Text{
		{checkpoint.FileHash{Name: a, Bytes: 6, SHA256: sum("first\n")}, "first\n"},
		{checkpoint.FileHash{Name: b, Bytes: 14, SHA256: sum("zweite, schön")}, "zweite, schön"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDefaultText(t *testing.T) {
	got, err := ReadFiles(t.Context(), nil)
	if err != nil || len(got) != 1 {
		t.Fatalf("%d texts, %v", len(got), err)
	}
	sum := sha256.Sum256([]byte(Default()))
	want := checkpoint.FileHash{Name: DefaultName, Bytes: int64(len(Default())), SHA256: hex.EncodeToString(sum[:])}
	if got[0].Source != want || got[0].Text != Default() {
		t.Errorf("source %+v, want %+v", got[0].Source, want)
	}
	if len(Default()) < 200_000 || !utf8.ValidString(Default()) || strings.Contains(Default(), "\r") {
		t.Errorf("%d bytes: want 200 kB or more of UTF-8 with plain line ends", len(Default()))
	}
}

// TestDefaultTextIsBroad holds every tenth of the embedded text to several
// scripts, code and chat: a window must not see one kind of text only.
func TestDefaultTextIsBroad(t *testing.T) {
	all := Default()
	for _, script := range []*unicode.RangeTable{
		unicode.Arabic, unicode.Cyrillic, unicode.Devanagari, unicode.Greek, unicode.Han, unicode.Hangul, unicode.Hebrew, unicode.Hiragana,
	} {
		if strings.IndexFunc(all, func(r rune) bool { return unicode.Is(script, r) }) < 0 {
			t.Errorf("no letter of %v", script.R16[0])
		}
	}
	for _, form := range []string{"User:", "### Instruction:", "Q:", "<|im_start|>", "<|start_header_id|>", "[INST]", "<start_of_turn>"} {
		if strings.Count(all, form) < 2 {
			t.Errorf("%d times %q, want 2 or more", strings.Count(all, form), form)
		}
	}
	for i := range 10 {
		part := all[i*len(all)/10 : (i+1)*len(all)/10]
		letters, others := 0, 0
		for _, r := range part {
			if unicode.IsLetter(r) {
				letters++
				if r > unicode.MaxASCII {
					others++
				}
			}
		}
		if others*100 < letters {
			t.Errorf("tenth %d: %d of %d letters are outside ASCII, want 1 %% or more", i, others, letters)
		}
		if n := strings.Count(part, "{") + strings.Count(part, "= "); n < 10 {
			t.Errorf("tenth %d: %d signs of code, want 10 or more", i, n)
		}
		if n := strings.Count(part, "\n\n\n"); n < 10 {
			t.Errorf("tenth %d: %d ends of sections, want 10 or more", i, n)
		}
	}
}

func TestReadFilesRefuses(t *testing.T) {
	good := put(t, "good.txt", []byte("text"))
	large := put(t, "large.txt", nil)
	if err := os.Truncate(large, MaxText+1); err != nil {
		t.Skip("no sparse files here:", err)
	}
	for _, c := range []struct {
		name, file string
		want       string
	}{
		{"missing", filepath.Join(t.TempDir(), "none.txt"), "none.txt"},
		{"empty", put(t, "empty.txt", nil), "empty.txt: is empty"},
		{"folder", t.TempDir(), "expected a regular file"},
		{"Latin-1", put(t, "latin.txt", []byte("sch\xf6n")), "latin.txt: is not UTF-8"},
		{"UTF-16", put(t, "wide.txt", []byte("\xff\xfea\x00")), "is not UTF-8"},
		{"large", large, "at most 1073741824"},
		{"no name", "", "calibration text"},
	} {
		got, err := ReadFiles(t.Context(), []string{good, c.file})
		if err == nil || got != nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "calibration text") {
			t.Errorf("%s: %d texts, error %v lacks %q", c.name, len(got), err, c.want)
		}
	}
}
