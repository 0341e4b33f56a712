package serve

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/checkpoint"
	"github.com/specquant/specquant/internal/serve/scheduler"
	"github.com/specquant/specquant/internal/testmodel"
)

// TestDraft: with a draft model answers are the same, its guesses are counted in the metrics, and
// its files and caches in the memory; one of another vocabulary is refused before anything is
// served.
func TestDraft(t *testing.T) {
	dir := modelDir(t)
	_, url, _ := serverOf(t, []Source{{Name: "one", Path: dir}}, Options{})
	_, want, _ := completion(t, url, "one")
	small := filepath.Join(t.TempDir(), "small")
	if err := testmodel.Write(small, testmodel.Options{Context: 512, Layers: 1, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	source := Source{Name: "one", Path: dir, Draft: small}
	s, url, log := serverOf(t, []Source{source}, Options{})
	if _, got, body := completion(t, url, "one"); got != want || want == "" {
		t.Errorf("with a draft model: %q, without %q; %s", got, want, body)
	}
	if !strings.Contains(log.String(), "draft="+small) {
		t.Error(log)
	}
	if _, _, text := call(t, "GET", url+"/metrics", ""); !strings.Contains(text, `specquant_drafted_tokens_total{model="one"}`) || !strings.Contains(text, `specquant_drafted_right_tokens_total{model="one"}`) {
		t.Error(text)
	}
	b := s.library.books[0]
	plain := scheduler.CacheLimit(b.loaded.model, scheduler.Options{})
	ck, err := checkpoint.Open(small)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	drafts := scheduler.CacheLimit(b.loaded.draft, scheduler.Options{})
	if all, caches := s.Memory(); caches != plain+drafts || all < caches+ck.Bytes()+b.loaded.model.Checkpoint.Bytes() {
		t.Errorf("memory %d with caches of %d, expected caches of %d and %d", all, caches, plain, drafts)
	}
	all, _ := s.Memory()
	var memory *MemoryError
	if _, err := Open([]Source{source}, Options{Threads: 1, MaxMemory: all - 1}); !errors.As(err, &memory) {
		t.Errorf("a byte less than the model and its draft can take: %v", err)
	}

	file := filepath.Join(small, "tokenizer.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.NewReplacer(`"a":97`, `"b":97`, `"b":98`, `"a":98`).Replace(string(text))
	if err := os.WriteFile(file, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open([]Source{source}, Options{Threads: 1})
	for _, says := range []string{small, dir, `token 97 is "a" in one and "b" in the other`} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("another vocabulary: error %v, expected %q in it", err, says)
		}
	}
}
