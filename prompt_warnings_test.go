package specquant

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/specquant/specquant/internal/testmodel"
)

// A token that ends texts is known by its name too: the files of a model made for conversations
// often name only what ends a turn.
func TestPromptWarnings(t *testing.T) {
	dir := t.TempDir()
	if err := testmodel.Write(dir, testmodel.Options{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tokenizer.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(data, []byte(`\u003cunk\u003e`), []byte("<|endoftext|>")), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for prompt, want := range map[string]string{
		"hello":              "",
		"<s>hello":           "",
		"<|endoftext|>hello": `"<|endoftext|>", which ends a text, as token 2 of 7`,
		"hello</s>":          `"</s>", which ends a text, as token 7 of 7`,
		"a<s>b":              `"<s>", which begins a text, as token 3 of 4`,
		"<|im_end|>":         "", // not a token here
	} {
		ids, err := m.Encode(prompt)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(m.PromptWarnings(ids), "\n"); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", prompt, got, want)
		}
	}
}
